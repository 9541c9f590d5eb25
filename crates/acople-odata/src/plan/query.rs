//! Which request belongs to a place.

use acople_core::Result;
use acople_http::{Call, Left};

use super::{Change, Field, Plan, lost_change_field, next_milli};
use crate::literal::Primitive;
use crate::place::{Place, Spot};

impl Plan {
    /// The request for the page at a spot.
    pub(crate) fn call(&self, spot: &Spot, left: Left) -> Result<Call> {
        let mut call = Call::get("read entity set");
        if let Some(link) = &spot.link {
            return Ok(call.link(link));
        }
        call = call.path([&self.set]);
        if let Some(select) = &self.select {
            call = call.query("$select", select);
        }
        let filter = self.filter(&spot.place)?;
        if !filter.is_empty() {
            call = call.query("$filter", filter.join(" and "));
        }
        let order = self.order(&spot.place);
        if !order.is_empty() {
            call = call.query("$orderby", order.join(","));
        }
        // A listing that follows links would end at `$top`.
        if self.topable && self.asks_for_pages(&spot.place) {
            call = call.query("$top", self.wanted(spot, left));
        }
        Ok(call)
    }

    /// Records that the page at a spot should have.
    pub(crate) fn wanted(&self, spot: &Spot, left: Left) -> u64 {
        let most = left.get().map_or(u64::MAX, |left| left.saturating_add(spot.skip));
        most.min(u64::from(self.page_size))
    }

    fn filter(&self, place: &Place) -> Result<Vec<String>> {
        let mut all = self.conditions.clone();
        let compare = |operator: &str, value: &str| match &self.change {
            Some(change) => change.field.compare(self.protocol, operator, value),
            None => Err(lost_change_field()),
        };
        match place {
            Place::Start | Place::End | Place::Keys { .. } => {}
            Place::Nulls { .. } => all.push(self.null_test("eq")),
            Place::From { value: Some(value) } => all.push(compare("ge", value)?),
            Place::From { value: None } => match &self.change {
                Some(Change { nullable: true, field, .. }) if field.primitive.is_temporal() => {
                    all.push(compare("ge", Primitive::earliest(self.protocol))?);
                }
                Some(Change { nullable: true, .. }) => all.push(self.null_test("ne")),
                _ => {}
            },
            Place::Above { value } => all.push(compare("gt", value)?),
            Place::After { value, keys } => {
                let fields = self.change.iter().map(|c| &c.field).chain(&self.keys);
                let values = std::iter::once(value).chain(keys);
                all.push(self.beyond(fields.zip(values).collect::<Vec<_>>().as_slice(), !all.is_empty())?);
            }
            Place::Within { value, .. } if self.is_exact() => all.push(compare("eq", value)?),
            Place::Within { value, .. } => {
                all.push(compare("ge", value)?);
                all.push(compare("lt", &next_milli(value)?)?);
            }
        }
        if let Place::Keys { after }
        | Place::Nulls { after: Some(after) }
        | Place::Within { after: Some(after), .. } = place
        {
            let pairs: Vec<(&Field, &String)> = self.keys.iter().zip(after).collect();
            all.push(self.beyond(&pairs, !all.is_empty())?);
        }
        Ok(all)
    }

    fn null_test(&self, operator: &str) -> String {
        format!("{} {operator} null", self.change_field().unwrap_or_default())
    }

    /// What lies behind a record in the order of these fields.
    fn beyond(&self, pairs: &[(&Field, &String)], among_others: bool) -> Result<String> {
        let mut terms = Vec::new();
        for (index, (field, value)) in pairs.iter().enumerate() {
            let mut term = Vec::new();
            for (field, value) in pairs.iter().take(index) {
                term.push(field.compare(self.protocol, "eq", value)?);
            }
            term.push(field.compare(self.protocol, "gt", value)?);
            terms.push(term.join(" and "));
        }
        Ok(match terms.as_slice() {
            [one] => one.clone(),
            many => {
                let any = many.iter().map(|term| format!("({term})")).collect::<Vec<_>>().join(" or ");
                if among_others { format!("({any})") } else { any }
            }
        })
    }

    fn order(&self, place: &Place) -> Vec<&str> {
        let change = self.change_field().filter(|_| place.is_by_change());
        let keys = self.keys.iter().filter(|_| self.sorted).map(|key| key.name.as_str());
        change.into_iter().chain(keys.filter(|key| Some(*key) != change)).collect()
    }
}
