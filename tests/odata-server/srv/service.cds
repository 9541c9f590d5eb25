using acople.test as db from '../db/schema';

@path    : 'API_BUSINESS_PARTNER'
@requires: 'authenticated-user'
service API_BUSINESS_PARTNER {
  entity BusinessPartners as projection on db.BusinessPartners;
  entity Addresses        as projection on db.Addresses;

  // Guarded by an ETag: a change without If-Match is answered with 428.
  entity SalesOrders      as projection on db.SalesOrders;
}

annotate API_BUSINESS_PARTNER.SalesOrders with {
  LastChangeDateTime @odata.etag;
};

// Reading needs any known user, writing the role `writer`. Privileges by
// operation work on entities only, not on the service.
annotate API_BUSINESS_PARTNER.BusinessPartners with @restrict: [
  { grant: 'READ', to: 'authenticated-user' },
  { grant: '*', to: 'writer' }
];
annotate API_BUSINESS_PARTNER.Addresses with @restrict: [
  { grant: 'READ', to: 'authenticated-user' },
  { grant: '*', to: 'writer' }
];
annotate API_BUSINESS_PARTNER.SalesOrders with @restrict: [
  { grant: 'READ', to: 'authenticated-user' },
  { grant: '*', to: 'writer' }
];

// The value exists only when read, so neither filter nor order can use it.
annotate API_BUSINESS_PARTNER.BusinessPartners with @Capabilities: {
  FilterRestrictions: { NonFilterableProperties: [StatisticalValue] },
  SortRestrictions  : { NonSortableProperties: [StatisticalValue] }
};

// The v2 metadata carries the `sap:` attributes.
annotate API_BUSINESS_PARTNER.BusinessPartners with {
  BusinessPartner  @sap.label: 'Business Partner'  @sap.updatable: 'false';
  StatisticalValue @sap.label: 'Statistical Value' @sap.creatable: 'false'
                   @sap.updatable: 'false' @sap.filterable: 'false' @sap.sortable: 'false';
};
