namespace acople.test;

// Names and types follow the SAP S/4HANA business partner and sales order
// services closely enough that a connector meets the same shapes.

entity BusinessPartners {
  key BusinessPartner         : String(10);
      BusinessPartnerUUID     : UUID;
      BusinessPartnerCategory : String(1); // 1 person, 2 organization
      BusinessPartnerFullName : String(200);
      FirstName               : String(40);
      LastName                : String(40);
      OrganizationName        : String(80);
      EmailAddress            : String(241);
      PhoneNumber             : String(30);
      Language                : String(2);
      ExternalNumber          : Integer64; // partly beyond 2^53
      CreditLimit             : Decimal(15, 2);
      RiskFactor              : Double;
      NumberOfEmployees       : Integer;
      IsBlocked               : Boolean;
      BirthDate               : Date;
      PreferredCallTime       : Time;
      Note                    : String(5000);
      // Filled when read, because the database keeps decimals as doubles.
      virtual StatisticalValue : Decimal(31, 10);
      CreationDateTime        : DateTime;  // whole seconds
      LastChangeDateTime      : Timestamp; // milliseconds
      Addresses               : Association to many Addresses
                                  on Addresses.Partner = $self;
}

entity Addresses {
  key Partner    : Association to BusinessPartners;
  key AddressID  : String(10);
      StreetName : String(60);
      CityName   : String(40);
      PostalCode : String(10); // leading zeros
      Country    : String(3);
      ValidFrom  : Date;
}

entity SalesOrders {
  key SalesOrder          : String(10);
      SoldToParty         : String(10);
      SalesOrderType      : String(4);
      PurchaseOrder       : String(35);
      TotalNetAmount      : Decimal(15, 3);
      TransactionCurrency : String(5);
      SalesOrderDate      : Date;
      CreationDateTime    : DateTime;
      LastChangeDateTime  : Timestamp;
}
