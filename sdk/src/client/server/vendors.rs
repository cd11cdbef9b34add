//! Vendor channels.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue, IF_MATCH};

use super::{AppServer, Error, NOTHING, body, read};
use crate::api::vendors::{
    RotateVendor, TestVendor, VendorList, VendorQuota, VendorRotated, VendorTested, VendorView, WriteVendor,
};
use crate::vendor::Vendor;

impl AppServer {
    /// All ten, set up or not.
    pub async fn vendors(&self) -> Result<VendorList, Error> {
        self.get("/v1/vendors").await
    }

    pub async fn vendor(&self, vendor: Vendor) -> Result<VendorView, Error> {
        self.get(&path(vendor, "")).await
    }

    /// With an ETag, only over that revision.
    pub async fn put_vendor(
        &self,
        vendor: Vendor,
        setup: &WriteVendor,
        etag: Option<&str>,
    ) -> Result<VendorView, Error> {
        let mut headers = HeaderMap::new();
        if let Some(etag) = etag {
            let value = HeaderValue::from_str(&format!("\"{etag}\"")).map_err(|_| Error::Etag)?;
            headers.insert(IF_MATCH, value);
        }
        let path = path(vendor, "");
        let answer = self.send(Method::PUT, &path, headers, body(Some(setup))).await?;
        read(answer, &Method::PUT, &path)
    }

    pub async fn delete_vendor(&self, vendor: Vendor) -> Result<(), Error> {
        self.done(Method::DELETE, &path(vendor, ""), NOTHING).await
    }

    pub async fn test_vendor(&self, vendor: Vendor, test: &TestVendor) -> Result<VendorTested, Error> {
        self.call(Method::POST, &path(vendor, "/test"), Some(test)).await
    }

    pub async fn rotate_vendor(&self, vendor: Vendor, rotate: &RotateVendor) -> Result<VendorRotated, Error> {
        self.call(Method::POST, &path(vendor, "/rotate"), Some(rotate)).await
    }

    pub async fn vendor_quota(&self, vendor: Vendor) -> Result<VendorQuota, Error> {
        self.get(&path(vendor, "/quota")).await
    }
}

fn path(vendor: Vendor, then: &str) -> String {
    format!("/v1/vendors/{vendor}{then}")
}
