//! Metadata documents of both versions, and what becomes of them.

use acople_core::json::FieldPath;
use acople_core::{Catalog, Context, Error, ErrorKind, Listing, ReadMode, ReadRequest};
use acople_odata::{Options, Protocol};
use acople_testkit::{Reply, ScriptedTransport};
use serde_json::json;

use crate::imitation::{connect, options};

async fn discover_with(options: Options, xml: impl Into<String>) -> Result<Catalog, Error> {
    let reply = Reply::new(200, xml.into()).header("content-type", "application/xml");
    connect(options, &ScriptedTransport::new([reply])).discover(&Context::new()).await
}

async fn discover(protocol: Protocol, xml: impl Into<String>) -> Result<Catalog, Error> {
    discover_with(options(protocol), xml).await
}

const V2: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" xmlns:sap="http://www.sap.com/Protocols/SAPData">
 <edmx:DataServices m:DataServiceVersion="2.0" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
  <Schema Namespace="SRV" Alias="Self" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
   <EntityType Name="OrderType">
    <Key><PropertyRef Name="Order"/></Key>
    <Property Name="Order" Type="Edm.String" Nullable="false" MaxLength="10" service:label="Order &amp; more"/>
    <Property Name="Amount" Type="Edm.Decimal" Precision="15" Scale="2"/>
    <Property Name="Big" Type="Edm.Int64" Nullable="false"/>
    <Property Name="Text" Type="Edm.String" MaxLength="Max"/>
    <Property Name="LastChangeDateTime" Type="Edm.DateTimeOffset" Precision="7" service:sortable="false"/>
    <Property Name="LastChangeDate" Type="Edm.DateTime" Precision="0" service:display-format="Date"/>
    <Property Name="Address" Type="Self.AddressType" Nullable="false"/>
    <NavigationProperty Name="to_Item" Relationship="SRV.R" FromRole="A" ToRole="B"/>
   </EntityType>
   <ComplexType Name="AddressType"><Property Name="City" Type="Edm.String" Nullable="false"/></ComplexType>
   <EntityType Name="ItemType">
    <Key><PropertyRef Name="Order"/><PropertyRef Name="Item"/></Key>
    <Property Name="Order" Type="Edm.String" Nullable="false"/><Property Name="Item" Type="Edm.String" Nullable="false"/>
   </EntityType>
   <EntityType Name="GuidType"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Guid" Nullable="false"/></EntityType>
   <EntityContainer Name="C">
    <EntitySet Name="Orders" EntityType="SRV.OrderType" service:label="Sales orders"/>
    <EntitySet Name="Items" EntityType="ItemType"/>
    <EntitySet Name="Guids" EntityType="Self.GuidType"/>
    <EntitySet Name="Hidden" EntityType="SRV.ItemType" service:addressable="false"/>
    <EntitySet Name="Picky" EntityType="SRV.ItemType" service:requires-filter="true"/>
   </EntityContainer>
  </Schema>
 </edmx:DataServices>
</edmx:Edmx>"#;

const V4: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
 <Schema Namespace="my.types" Alias="T" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EnumType Name="Status"><Member Name="Open" Value="0"/><Member Name="Done" Value="1"/></EnumType>
  <EnumType Name="Rights" IsFlags="true"><Member Name="Read" Value="1"/></EnumType>
  <EntityType Name="Base" Abstract="true"><Key><PropertyRef Name="ID"/></Key>
   <Property Name="ID" Type="Edm.Guid" Nullable="false"/><Property Name="modifiedAt" Type="Edm.DateTimeOffset"/></EntityType>
  <ComplexType Name="Money"><Property Name="Amount" Type="Edm.Decimal" Nullable="false"/><Property Name="Next" Type="T.Money"/></ComplexType>
  <EntityType Name="Thing" BaseType="T.Base"><Property Name="Status" Type="T.Status"/>
   <Property Name="Rights" Type="T.Rights" Nullable="false"/><Property Name="Tags" Type="Collection(Edm.String)"/>
   <Property Name="Price" Type="T.Money"/><Property Name="Ratio" Type="Edm.Double" Nullable="false"/>
   <Property Name="Day" Type="Edm.Date" Nullable="false"><Annotation Term="Common.Label" String="The day"/></Property>
   <Property Name="Spot" Type="Edm.GeographyPoint"/></EntityType>
 </Schema>
 <Schema Namespace="my.srv" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Loop" BaseType="my.srv.Loop2"><Property Name="A" Type="Edm.String"/></EntityType>
  <EntityType Name="Loop2" BaseType="my.srv.Loop"><Property Name="B" Type="Edm.String"/></EntityType>
  <EntityContainer Name="C"><EntitySet Name="Things" EntityType="T.Thing"/><EntitySet Name="Loops" EntityType="my.srv.Loop"/>
   <EntitySet Name="Ghosts" EntityType="other.Ghost"/><Singleton Name="Me" Type="T.Thing"/></EntityContainer>
  <Annotations Target="T.Base/ID"><Annotation Term="com.sap.vocabularies.Common.v1.Label" String="Key"/></Annotations>
 </Schema></edmx:DataServices></edmx:Edmx>"#;

#[tokio::test]
async fn v2_metadata_becomes_a_catalog() {
    let catalog = discover(Protocol::V2, V2).await.unwrap();
    let names: Vec<&str> = catalog.streams.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["Orders", "Items", "Guids", "Hidden", "Picky"]);
    let orders = catalog.stream("Orders").unwrap();
    assert_eq!(orders.label.as_deref(), Some("Sales orders"));
    assert_eq!(orders.key, [FieldPath::parse("Order").unwrap()]);
    assert_eq!(
        orders.cursor,
        Some(FieldPath::parse("LastChangeDate").unwrap()),
        "the finer one cannot be sorted by"
    );
    assert_eq!(orders.listing, Listing::Stable);
    assert_eq!(
        orders.schema,
        json!({ "type": "object", "required": ["Order"], "properties": {
            "Order": { "type": "string", "maxLength": 10, "title": "Order & more", "x-odata-type": "Edm.String" },
            "Amount": { "type": ["string", "null"], "x-odata-type": "Edm.Decimal" },
            "Big": { "type": "string", "x-odata-type": "Edm.Int64" },
            "Text": { "type": ["string", "null"], "x-odata-type": "Edm.String" },
            "LastChangeDateTime": { "type": ["string", "null"], "x-odata-type": "Edm.DateTimeOffset" },
            "LastChangeDate": { "type": ["string", "null"], "x-odata-type": "Edm.DateTime" },
            "Address": { "type": "object", "properties": { "City": { "type": "string", "x-odata-type": "Edm.String" } } },
        } })
    );
    let items = catalog.stream("Items").unwrap();
    assert_eq!((items.key.len(), items.listing), (2, Listing::Shifting));
    assert_eq!(items.reads, [ReadMode::Full]);
    assert_eq!(
        catalog.stream("Guids").unwrap().listing,
        Listing::Shifting,
        "GUIDs have no order in OData 2.0"
    );
    for name in ["Hidden", "Picky"] {
        assert!(catalog.stream(name).unwrap().reads.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn v4_metadata_becomes_a_catalog_with_inherited_fields() {
    let catalog = discover(Protocol::V4, V4).await.unwrap();
    assert_eq!(catalog.streams.len(), 3);
    let things = catalog.stream("Things").unwrap();
    assert_eq!(things.key, [FieldPath::parse("ID").unwrap()]);
    assert_eq!(things.cursor, Some(FieldPath::parse("modifiedAt").unwrap()));
    let fields = &things.schema["properties"];
    assert_eq!(
        fields["ID"],
        json!({ "type": "string", "format": "uuid", "title": "Key", "x-odata-type": "Edm.Guid" })
    );
    assert_eq!(fields["Status"], json!({ "type": ["string", "null"], "enum": ["Open", "Done", null] }));
    assert_eq!(fields["Rights"], json!({ "type": "string" }));
    assert_eq!(
        fields["Tags"],
        json!({ "type": "array", "items": { "type": "string" }, "x-odata-type": "Edm.String" })
    );
    assert_eq!(fields["Price"]["type"], json!(["object", "null"]));
    assert_eq!(fields["Price"]["properties"]["Amount"]["type"], json!(["string", "number"]));
    assert_eq!(fields["Day"]["title"], json!("The day"));
    assert_eq!(fields["Spot"], json!({ "x-odata-type": "Edm.GeographyPoint" }));
    assert!(catalog.stream("Loops").unwrap().key.is_empty(), "types in a circle end somewhere");
    assert_eq!(catalog.stream("Ghosts").unwrap().schema, json!({ "type": "object", "properties": {} }));
}

#[tokio::test]
async fn one_stream_is_described_as_in_the_catalog() {
    let reply = || Reply::new(200, V2).header("content-type", "application/xml");
    let transport = ScriptedTransport::new([reply(), reply(), reply()]);
    let (service, cx) = (connect(options(Protocol::V2), &transport), Context::new());
    let catalog = service.discover(&cx).await.unwrap();
    let orders = service.describe(&cx, "Orders").await.unwrap();
    assert_eq!(json!(orders), json!(catalog.stream("Orders").unwrap()));
    let error = service.describe(&cx, "Order").await.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["stream".to_owned()][..]));
    assert_eq!(transport.sent().len(), 3, "each as it is now");
}

#[tokio::test]
async fn only_names_of_the_vendor_are_taken_for_change_fields() {
    let mut options = options(Protocol::V4);
    options.change_names = &["LastChangeDateTime"];
    let catalog = discover_with(options, V4).await.unwrap();
    assert_eq!(catalog.stream("Things").unwrap().reads, [ReadMode::Full]);
}

#[tokio::test]
async fn a_set_that_cannot_be_read_by_itself_says_so() {
    for name in ["Hidden", "Picky"] {
        let transport = ScriptedTransport::new([Reply::new(200, V2)]);
        let service = connect(options(Protocol::V2), &transport);
        let (_, error) = crate::events(&service, ReadRequest::full(name)).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["stream".to_owned()][..]));
        assert_eq!(transport.sent().len(), 1);
    }
}

#[tokio::test]
async fn capabilities_keep_fields_out_of_queries() {
    let restricted = V4.replace(
        r#"<Annotations Target="T.Base/ID">"#,
        r#"<Annotations Target="my.srv.C/Things"><Annotation Term="SAP__capabilities.SortRestrictions"><Record>
           <PropertyValue Property="NonSortableProperties"><Collection><PropertyPath>modifiedAt</PropertyPath></Collection></PropertyValue>
           </Record></Annotation><Annotation Term="Capabilities.FilterRestrictions"><Record>
           <PropertyValue Property="NonFilterableProperties"><Collection><PropertyPath>ID</PropertyPath></Collection></PropertyValue>
           </Record></Annotation></Annotations><Annotations Target="T.Base/ID">"#,
    );
    let catalog = discover(Protocol::V4, restricted).await.unwrap();
    let things = catalog.stream("Things").unwrap();
    assert_eq!((things.reads.as_slice(), things.listing), (&[ReadMode::Full][..], Listing::Shifting));
}

#[tokio::test]
async fn a_change_field_of_the_config_counts_and_a_wrong_one_is_named() {
    let with = |set: &str, field: &str| {
        let mut options = options(Protocol::V2);
        options.change_fields.insert(set.into(), field.into());
        options
    };
    let catalog = discover_with(with("Orders", "Big"), V2).await.unwrap();
    assert_eq!(catalog.stream("Orders").unwrap().cursor, Some(FieldPath::parse("Big").unwrap()));
    for (set, field) in
        [("Orders", "LastChangeDateTime"), ("Orders", "Nothing"), ("Orders", "Address"), ("Nothing", "Big")]
    {
        let error = discover_with(with(set, field), V2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.fields(), [format!("change_fields.{set}")]);
    }
}

#[tokio::test]
async fn metadata_of_the_other_version_says_so() {
    for (protocol, xml) in [(Protocol::V2, V4), (Protocol::V4, V2)] {
        let error = discover(protocol, xml).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["protocol".to_owned()][..]));
    }
}

#[tokio::test]
async fn documents_that_are_no_metadata_or_mean_harm_are_refused() {
    let wrap = |inner: &str| format!(r#"<Edmx Version="4.0"><Schema Namespace="S">{inner}</Schema></Edmx>"#);
    let deep = wrap(&format!("{}{}", "<a>".repeat(100), "</a>".repeat(100)));
    let bomb = format!(
        r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>{}"#,
        wrap(r#"<EntityType Name="&b;"/>"#)
    );
    let outside = format!(r#"<!DOCTYPE x SYSTEM "file:///etc/passwd">{}"#, wrap(""));
    for (xml, kind) in [
        (String::new(), ErrorKind::Protocol),
        ("{}".into(), ErrorKind::Protocol),
        ("<html><body>Logon</body></html>".into(), ErrorKind::Protocol),
        ("<html><body>".into(), ErrorKind::Protocol),
        (V4.get(..600).unwrap().into(), ErrorKind::Protocol),
        (V4.replace("</EnumType>", "</EntityType>"), ErrorKind::Protocol),
        (V4.replace("Version=\"4.0\"", "Version=\"9\""), ErrorKind::Protocol),
        (wrap(r#"<EntityType Name="&unknown;"/>"#), ErrorKind::Protocol),
        (wrap(r#"<EntityType Name="a" Name="b"/>"#), ErrorKind::Protocol),
        (deep, ErrorKind::TooLarge),
        (bomb, ErrorKind::Protocol),
        (outside, ErrorKind::Protocol),
    ] {
        let error = discover(Protocol::V4, xml.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", xml.get(..60).unwrap_or(&xml));
    }
}
