//! The file that describes syncs, and the jobs that it makes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use acople::sync::{DeleteLimit, Job, JobBuilder, SchemaPolicy, StopRule};
use acople::{
    Connector, Context, Error, ErrorKind, Priority, ReadMode, Result, StateKey, WriteMode, parse_config,
};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::args::Chosen;
use crate::connection::Connections;
use crate::failure::Failure;
use crate::store::{Store, StoreSpec};
use crate::{documents, mapping};

/// The syncs of a file and their store.
#[derive(Debug)]
pub(crate) struct SyncFile {
    /// Relative paths of the file are relative to it.
    folder: PathBuf,
    /// Destinations off the public internet that may be reached.
    allow_private: Vec<String>,
    store: StoreSpec,
    syncs: Vec<Sync>,
}

/// One sync, not yet connected.
#[derive(Debug)]
pub(crate) struct Sync {
    /// Where in the file it is: `syncs[1]`, or nothing when it is the file.
    place: String,
    spec: SyncSpec,
}

/// A sync that can run.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) job: Job,
    pub(crate) context: Context,
}

/// A file of several syncs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Several {
    #[serde(default)]
    allow_private: Vec<String>,
    store: StoreSpec,
    syncs: Vec<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncSpec {
    name: String,
    /// The host's customer: its state and tokens are apart from everybody else's.
    #[serde(default)]
    tenant: Option<String>,
    source: Side,
    destination: Side,
    #[serde(default)]
    mapping: Option<Json>,
    #[serde(default = "incremental")]
    mode: ReadMode,
    #[serde(default)]
    write: WriteMode,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    fields: Option<Vec<String>>,
    #[serde(default)]
    tolerate: u64,
    #[serde(default)]
    attempts: Option<u32>,
    /// Keeps which record is which in the store.
    #[serde(default)]
    links: bool,
    /// Deletes what is gone at the source, up to a limit.
    #[serde(default)]
    delete_vanished: Option<DeleteVanished>,
    /// What happens when the shape of the source's records changes.
    #[serde(default)]
    schema: Option<SchemaPolicy>,
    #[serde(default)]
    stop_rule: Option<StopSpec>,
}

/// A limit of deletions: what is not given is as usual.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeleteVanished {
    share: f64,
    floor: u64,
}

impl Default for DeleteVanished {
    fn default() -> Self {
        let DeleteLimit { share, floor } = DeleteLimit::default();
        Self { share, floor }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StopSpec {
    window: usize,
    refused: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    connector: String,
    stream: String,
    #[serde(default)]
    config: Option<Json>,
    #[serde(default)]
    config_file: Option<PathBuf>,
    /// What the connection is called: its tokens are stored under that name.
    #[serde(default)]
    connection: Option<String>,
}

impl std::fmt::Debug for Side {
    /// Without the config, which holds secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side")
            .field("connector", &self.connector)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

fn incremental() -> ReadMode {
    ReadMode::Incremental
}

impl SyncFile {
    /// Reads the file and keeps the syncs that were asked for. Connects nothing yet.
    pub(crate) fn load(chosen: &Chosen) -> Result<Self, Failure> {
        let document = documents::load(&chosen.file, "file")?;
        let folder = chosen.file.parent().unwrap_or(Path::new("")).to_owned();
        let mut file = Self::parse(document, folder)?;
        if let Some(name) = &chosen.only {
            file.syncs.retain(|sync| sync.spec.name == *name);
            if file.syncs.is_empty() {
                let message = format!("{} has no sync {name:?}", chosen.file.display());
                return Err(Error::config("--only", message).into());
            }
        }
        Ok(file)
    }

    fn parse(document: Json, folder: PathBuf) -> Result<Self, Failure> {
        let (store, allow_private, syncs) = if document.get("syncs").is_some() {
            let several: Several = parse_config(document)?;
            let syncs = several.syncs.into_iter().enumerate();
            let syncs = syncs
                .map(|(index, spec)| Sync::parse(spec, format!("syncs[{index}]")))
                .collect::<Result<Vec<_>, _>>()?;
            (several.store, several.allow_private, syncs)
        } else {
            let mut members: Map<String, Json> = match document {
                Json::Object(members) => members,
                _ => return Err(Error::new(ErrorKind::Config, "the file describes no sync").into()),
            };
            let store = members
                .remove("store")
                .ok_or_else(|| Error::config("store", "a sync needs a store: `store: {path: state.redb}`"))?;
            let store = parse_config(store).map_err(|e| Failure::from(e).within("store"))?;
            let allow_private = members.remove("allow_private").map(parse_config).transpose();
            let allow_private = allow_private.map_err(|e| Failure::from(e).within("allow_private"))?;
            (
                store,
                allow_private.unwrap_or_default(),
                vec![Sync::parse(Json::Object(members), String::new())?],
            )
        };
        let mut names = BTreeSet::new();
        for sync in &syncs {
            let spec = &sync.spec;
            if !names.insert((spec.tenant.as_deref(), spec.name.as_str())) {
                let error = Error::config("name", format!("another sync is called {:?} too", spec.name));
                return Err(Failure::from(error).within(&sync.place));
            }
        }
        Ok(Self { folder, allow_private, store, syncs })
    }

    pub(crate) fn syncs(&self) -> &[Sync] {
        &self.syncs
    }

    pub(crate) async fn open_store(&self) -> Result<Store, Failure> {
        self.store.open(&self.folder).await.map_err(|e| Failure::from(e).within("store"))
    }

    /// Connects the syncs. Does no I/O but reading the files that the syncs name: what is wrong with the last
    /// one is known before the first one runs.
    pub(crate) fn connect(&self, store: &Store) -> Result<Vec<Connected>, Failure> {
        let mut connections = Connections::new(store.tokens.clone(), &self.allow_private, "allow_private")?;
        let syncs = self.syncs.iter();
        syncs.map(|sync| sync.connect(&self.folder, store, &mut connections)).collect()
    }
}

impl Sync {
    fn parse(spec: Json, place: String) -> Result<Self, Failure> {
        match parse_config(spec) {
            Ok(spec) => Ok(Self { place, spec }),
            Err(error) => Err(Failure::from(error).within(&place)),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    /// The key of the sync's state.
    pub(crate) fn state_key(&self) -> StateKey {
        let key = StateKey::new(&self.spec.name, &self.spec.source.stream);
        key.with_tenant(self.spec.tenant.as_deref().unwrap_or_default())
    }

    fn connect(
        &self,
        folder: &Path,
        store: &Store,
        connections: &mut Connections,
    ) -> Result<Connected, Failure> {
        let job = self.job(folder, store, connections);
        let mut context = Context::new().with_priority(Priority::Batch);
        if let Some(tenant) = &self.spec.tenant {
            context = context.with_tenant(tenant.as_str());
        }
        let job = job.map_err(|failure| failure.within(&self.place))?;
        Ok(Connected { job, context })
    }

    fn job(&self, folder: &Path, store: &Store, connections: &mut Connections) -> Result<Job, Failure> {
        let spec = &self.spec;
        let source = self.side(&spec.source, "source", folder, connections)?;
        let destination = self.side(&spec.destination, "destination", folder, connections)?;
        let mut job = Job::builder(&spec.name)
            .source(source, &spec.source.stream)
            .destination(destination, &spec.destination.stream)
            .mode(spec.mode)
            .write(spec.write)
            .tolerate(spec.tolerate)
            .store(store.redb.clone());
        let mut key = spec.key.clone();
        if let Some(mapping) = &spec.mapping {
            let within = |error: Error| Failure::from(error).within("mapping");
            let table = mapping::table(mapping, folder).map_err(within)?;
            let (mapper, target_key) = mapping::compile(&table).map_err(within)?;
            job = job.mapper(Arc::new(mapper));
            if spec.write != WriteMode::Insert {
                key = key.or(target_key);
            }
        }
        let job = set(job, key, JobBuilder::key);
        let job = set(job, spec.fields.clone(), JobBuilder::fields);
        let job = set(job, spec.attempts, JobBuilder::attempts);
        let job = set(job, spec.schema, JobBuilder::schema_policy);
        let rule = spec.stop_rule.map(|StopSpec { window, refused }| StopRule { window, refused });
        let job = set(job, rule, JobBuilder::stop_rule);
        let links = spec.links || spec.delete_vanished.is_some();
        let job = if links { job.links(store.redb.clone()) } else { job };
        let limit = spec.delete_vanished.map(|DeleteVanished { share, floor }| DeleteLimit { share, floor });
        let job = set(job, limit, JobBuilder::delete_vanished);
        Ok(job.build()?)
    }

    fn side(
        &self,
        side: &Side,
        role: &str,
        folder: &Path,
        connections: &mut Connections,
    ) -> Result<Arc<dyn Connector>, Failure> {
        let within = |place: &str, error: Error| Failure::from(error).within(place).within(role);
        let (place, config) = match (&side.config, &side.config_file) {
            (Some(config), None) => ("config", config.clone()),
            (None, Some(path)) => {
                let config = documents::load(&folder.join(path), "config_file");
                ("config_file", config.map_err(|e| within("", e))?)
            }
            (None, None) => ("config", Json::Object(Map::new())),
            (Some(_), Some(_)) => {
                let error = Error::config("config_file", "give `config` or `config_file`, not both");
                return Err(within("", error));
            }
        };
        // The same in every run, and not the same for two accounts of one vendor.
        let otherwise = format!("{}/{role}", self.spec.name);
        // `connect` itself names the field `connector` when there is none of that name.
        let place = if acople::vendor(&side.connector).is_none() { "" } else { place };
        let connection = connections.open(&side.connector, config, side.connection.as_deref(), &otherwise);
        connection.map_err(|error| within(place, error))
    }
}

fn set<T>(job: JobBuilder, value: Option<T>, setter: impl FnOnce(JobBuilder, T) -> JobBuilder) -> JobBuilder {
    match value {
        Some(value) => setter(job, value),
        None => job,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lists_the_private_destinations() {
        let file = |document: Json| SyncFile::parse(document, PathBuf::new());
        let side = serde_json::json!({ "connector": "hubspot", "stream": "contacts" });
        let sync = serde_json::json!({ "name": "a", "source": side, "destination": side });
        let private = ["erp.corp.example", "10.0.0.0/8"];
        let mut one = sync.clone();
        one["store"] = serde_json::json!({ "path": "state.redb" });
        one["allow_private"] = serde_json::json!(private);
        assert_eq!(file(one.clone()).unwrap().allow_private, private);
        let several = serde_json::json!({ "store": one["store"], "allow_private": private, "syncs": [sync] });
        assert_eq!(file(several).unwrap().allow_private, private);
        one["allow_private"] = serde_json::json!("10.0.0.0/8");
        let failure = format!("{:?}", file(one).unwrap_err());
        assert!(failure.contains("allow_private"), "{failure}");
    }

    #[test]
    fn the_example_of_the_readme_is_a_sync() {
        let readme = include_str!("../README.md");
        let (_, example) = readme.split_once("```yaml\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        std::fs::write(file.path(), example).unwrap();
        let document = documents::load(file.path(), "file").unwrap();
        let file = SyncFile::parse(document, PathBuf::new()).unwrap();
        let spec = &file.syncs[0].spec;
        mapping::table(spec.mapping.as_ref().unwrap(), Path::new("")).unwrap();
        assert!(acople::vendor(&spec.source.connector).is_some());
        assert_eq!(file.store.key_env.as_deref(), Some("ACOPLE_KEY"));
    }
}
