//! One API server in memory, with the rules that a controller can run into: server-side apply with
//! field managers, generations, resource versions, UIDs, finalizers, and namespaces that are being
//! deleted. It keeps the history of all changes, so that watches can lag.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use kube::api::{DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::clock::SimulatedClock;
use super::fields::{Fields, fields_of, merge, remove_at, to_fields_v1, value_at};
use super::journal::Journal;
use super::schema;
use crate::ports::{Clock as _, ClusterError};

/// Place of an object: its kind without the version, namespace (empty without one), and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl Place {
    /// Returns the place of an object of that kind.
    pub fn new(kind: &GroupVersionKind, namespace: Option<&str>, name: &str) -> Self {
        Self {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: name.to_owned(),
        }
    }

    pub fn of(object: &Value) -> Self {
        let api_version = text(object, "/apiVersion");
        Self {
            group: api_version.split_once('/').map_or("", |(group, _)| group).to_owned(),
            kind: text(object, "/kind").to_owned(),
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
        }
    }

    /// Returns the name of the resource as the API server's messages have it.
    fn resource(&self) -> String {
        let plural = self.kind.to_lowercase();
        let plural = match plural.strip_suffix('y') {
            Some(start) => format!("{start}ies"),
            None if plural.ends_with('s') => format!("{plural}es"),
            None => format!("{plural}s"),
        };
        if self.group.is_empty() { plural } else { format!("{plural}.{}", self.group) }
    }

    fn kind_and_name(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{}{dot}{} \"{}\"", self.kind, self.group, self.name)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Part of an object that a write changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// The status.
    Status,
}

/// A field manager of an object.
#[derive(Clone, PartialEq)]
struct Manager {
    name: String,
    operation: &'static str,
    part: Part,
    fields: Fields,
    time: Timestamp,
}

#[derive(Clone)]
struct Stored {
    object: Value,
    managers: Vec<Manager>,
}

/// A change of an object.
#[derive(Clone)]
pub struct Change {
    pub version: u64,
    pub place: Place,
    /// Whether the object was deleted; `object` is its last state then.
    pub deleted: bool,
    /// The object before the change.
    pub before: Option<Arc<DynamicObject>>,
    pub object: Arc<DynamicObject>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Place, Stored>,
    shown: BTreeMap<Place, Arc<DynamicObject>>,
    version: u64,
    uids: u64,
    history: Vec<Change>,
}

/// The API server with its etcd.
pub struct ApiServer {
    state: Mutex<State>,
    clock: SimulatedClock,
    journal: Arc<Journal>,
    changed: watch::Sender<u64>,
}

pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn refused(code: u16, message: String) -> ClusterError {
    ClusterError::Refused { code, message }
}

fn not_found(place: &Place) -> ClusterError {
    refused(404, format!("{} \"{}\" not found", place.resource(), place.name))
}

fn invalid(place: &Place, why: &str) -> ClusterError {
    refused(422, format!("{} is invalid: {why}", place.kind_and_name()))
}

fn without_empty(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    });
}

impl ApiServer {
    /// Creates an empty API server.
    pub fn new(clock: SimulatedClock, journal: Arc<Journal>) -> Self {
        Self { state: Mutex::default(), clock, journal, changed: watch::Sender::new(0) }
    }

    /// Returns a receiver that is notified of each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns the version of the newest change.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Returns the changes after that version.
    pub fn since(&self, version: u64) -> Vec<Change> {
        let state = self.lock();
        let start = state.history.partition_point(|change| change.version <= version);
        state.history[start..].to_vec()
    }

    /// Returns an object.
    pub fn get(&self, place: &Place) -> Option<Arc<DynamicObject>> {
        self.lock().shown.get(place).cloned()
    }

    /// Returns all objects for which `fits` is true, by place.
    pub fn list(&self, fits: impl Fn(&Place, &DynamicObject) -> bool) -> Vec<Arc<DynamicObject>> {
        let state = self.lock();
        state
            .shown
            .iter()
            .filter(|(place, object)| fits(place, object))
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Returns the places of all objects for which `fits` is true.
    pub fn places(&self, fits: impl Fn(&Place) -> bool) -> Vec<Place> {
        self.lock().shown.keys().filter(|place| fits(place)).cloned().collect()
    }

    /// Creates an object.
    ///
    /// # Errors
    /// It exists already, its namespace doesn't or is being deleted, or it is invalid.
    pub fn create(&self, by: &str, manager: &str, object: &Value) -> Result<DynamicObject, ClusterError> {
        let mut state = self.lock();
        let mut object = object.clone();
        if let Some(prefix) = object.pointer("/metadata/generateName").and_then(Value::as_str) {
            object["metadata"]["name"] = format!("{prefix}{:05x}", state.uids + 1).into();
        }
        let place = Place::of(&object);
        if state.objects.contains_key(&place) {
            let message = format!("{} \"{}\" already exists", place.resource(), place.name);
            return Err(ClusterError::Conflict(message));
        }
        if schema::of(&place)?.has_status {
            object.as_object_mut().map(|members| members.remove("status"));
        }
        let owner = self.manager(manager, "Update", Part::Main, fields_of(&object));
        self.add(&mut state, by, &place, object, owner, false)
    }

    fn manager(&self, name: &str, operation: &'static str, part: Part, fields: Fields) -> Manager {
        Manager { name: name.to_owned(), operation, part, fields, time: self.clock.now() }
    }

    fn add(
        &self,
        state: &mut State,
        by: &str,
        place: &Place,
        mut object: Value,
        owner: Manager,
        dry_run: bool,
    ) -> Result<DynamicObject, ClusterError> {
        let kind = schema::of(place)?;
        if kind.namespaced {
            let namespace = Place {
                group: String::new(),
                kind: "Namespace".to_owned(),
                namespace: String::new(),
                name: place.namespace.clone(),
            };
            match state.shown.get(&namespace) {
                None => return Err(not_found(&namespace)),
                Some(found) if found.metadata.deletion_timestamp.is_some() => {
                    let message = format!(
                        "{} \"{}\" is forbidden: unable to create new content in namespace {} because it is being terminated",
                        place.resource(),
                        place.name,
                        place.namespace
                    );
                    return Err(refused(403, message));
                }
                Some(_) => {}
            }
        }
        without_empty(&mut object);
        schema::check(place, &object, None).map_err(|why| invalid(place, &why))?;
        if dry_run {
            return shown(&Stored { object, managers: Vec::new() });
        }
        state.uids += 1;
        object["metadata"]["uid"] = format!("00000000-0000-4000-8000-{:012x}", state.uids).into();
        object["metadata"]["creationTimestamp"] =
            Timestamp::from_second(self.clock.now().as_second()).unwrap_or_default().to_string().into();
        if kind.has_generation {
            object["metadata"]["generation"] = 1.into();
        }
        if place.kind == "Namespace" {
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        let stored = Stored { object, managers: vec![owner] };
        self.put(state, by, "creates", place, stored)
    }

    /// Stores an object under a new version.
    fn put(
        &self,
        state: &mut State,
        by: &str,
        verb: &str,
        place: &Place,
        mut stored: Stored,
    ) -> Result<DynamicObject, ClusterError> {
        state.version += 1;
        stored.object["metadata"]["resourceVersion"] = state.version.to_string().into();
        let object = shown(&stored)?;
        let before = state.shown.insert(place.clone(), Arc::new(object.clone()));
        let what = match &before {
            Some(before) => format!("{verb} {place}{}", difference(before, &object)),
            None => format!("{verb} {place}"),
        };
        self.journal.write(by, what);
        let change = Change {
            version: state.version,
            place: place.clone(),
            deleted: false,
            before,
            object: Arc::new(object.clone()),
        };
        state.history.push(change);
        state.objects.insert(place.clone(), stored);
        let is_over = object.metadata.deletion_timestamp.is_some()
            && object.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
            && object.data.pointer("/spec/finalizers").is_none_or(|left| left == &json!([]));
        // A pod that is being deleted stays until its kubelet has stopped it.
        if is_over && place.kind != "Pod" {
            self.drop_object(state, place);
        }
        self.changed.send_replace(state.version);
        Ok(object)
    }

    fn drop_object(&self, state: &mut State, place: &Place) {
        state.objects.remove(place);
        let Some(before) = state.shown.remove(place) else { return };
        state.version += 1;
        let mut object = (*before).clone();
        object.metadata.resource_version = Some(state.version.to_string());
        let change = Change {
            version: state.version,
            place: place.clone(),
            deleted: true,
            before: Some(before),
            object: Arc::new(object),
        };
        state.history.push(change);
        self.journal.write("API server", format!("removed {place}"));
        self.changed.send_replace(state.version);
    }

    /// Applies an object or its status (server-side apply, forced).
    ///
    /// # Errors
    /// As those of [`Self::create`], or the object has another UID than the applied one.
    pub fn apply(
        &self,
        by: &str,
        manager: &str,
        part: Part,
        applied: &Value,
        dry_run: bool,
    ) -> Result<DynamicObject, ClusterError> {
        let mut state = self.lock();
        let place = Place::of(applied);
        let kind = schema::of(&place)?;
        let mut applied = applied.clone();
        if let Some(members) = applied.as_object_mut() {
            match part {
                Part::Main if kind.has_status => drop(members.remove("status")),
                Part::Main => {}
                Part::Status => members
                    .retain(|name, _| ["apiVersion", "kind", "metadata", "status"].contains(&name.as_str())),
            }
        }
        without_empty(&mut applied);
        let uid = text(&applied, "/metadata/uid").to_owned();
        let Some(stored) = state.objects.get(&place).cloned() else {
            if part == Part::Status {
                return Err(not_found(&place));
            }
            if !uid.is_empty() {
                return Err(ClusterError::Conflict(format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                )));
            }
            let owner = self.manager(manager, "Apply", part, fields_of(&applied));
            return self.add(&mut state, by, &place, applied, owner, dry_run);
        };
        if !uid.is_empty() && uid != text(&stored.object, "/metadata/uid") {
            return Err(invalid(&place, "metadata.uid: Invalid value: field is immutable"));
        }
        let fields = fields_of(&applied);
        let (after, mut managers) = merged(&stored, manager, part, &applied, &fields);
        let is_own =
            |known: &Manager| known.name == manager && known.operation == "Apply" && known.part == part;
        let known = managers.iter().position(is_own);
        match known {
            Some(index) if managers[index].fields == fields => {}
            Some(index) => managers[index] = self.manager(manager, "Apply", part, fields),
            None => managers.push(self.manager(manager, "Apply", part, fields)),
        }
        managers.retain(|manager| !manager.fields.is_empty());
        self.replace(&mut state, by, manager, &place, &stored, Stored { object: after, managers }, dry_run)
    }

    /// Changes an object in place, as an update by another client does.
    ///
    /// # Errors
    /// The object doesn't exist, or would be invalid.
    pub fn update(
        &self,
        by: &str,
        part: Part,
        place: &Place,
        change: impl FnOnce(&mut Value),
    ) -> Result<DynamicObject, ClusterError> {
        let mut state = self.lock();
        let stored = state.objects.get(place).cloned().ok_or_else(|| not_found(place))?;
        let mut object = stored.object.clone();
        change(&mut object);
        without_empty(&mut object);
        let (before, after) = (fields_of(&stored.object), fields_of(&object));
        let changed: Fields = after
            .iter()
            .filter(|path| value_at(&stored.object, path) != value_at(&object, path))
            .cloned()
            .collect();
        let mut managers = stored.managers.clone();
        for manager in &mut managers {
            manager.fields.retain(|path| after.contains(path) && !changed.contains(path));
        }
        if before != after || !changed.is_empty() {
            let is_own =
                |known: &&mut Manager| known.name == by && known.operation == "Update" && known.part == part;
            let now = self.clock.now();
            match managers.iter_mut().find(is_own) {
                Some(own) => {
                    own.fields.extend(changed);
                    own.time = now;
                }
                None => managers.push(self.manager(by, "Update", part, changed)),
            }
        }
        managers.retain(|manager| !manager.fields.is_empty());
        self.replace(&mut state, by, by, place, &stored, Stored { object, managers }, false)
    }

    #[allow(clippy::too_many_arguments)] // one write, with everything about it
    fn replace(
        &self,
        state: &mut State,
        by: &str,
        manager: &str,
        place: &Place,
        before: &Stored,
        mut after: Stored,
        dry_run: bool,
    ) -> Result<DynamicObject, ClusterError> {
        without_empty(&mut after.object);
        if after.object == before.object && after.managers == before.managers {
            if !dry_run {
                self.journal.write(by, format!("changes nothing of {place} as {manager}"));
            }
            return shown(before);
        }
        schema::check(place, &after.object, Some(&before.object)).map_err(|why| invalid(place, &why))?;
        let is_deleting = !text(&before.object, "/metadata/deletionTimestamp").is_empty();
        let finalizers = |of: &Stored| {
            let list = of.object.pointer("/metadata/finalizers").and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let known = finalizers(before);
        if is_deleting && finalizers(&after).iter().any(|finalizer| !known.contains(finalizer)) {
            return Err(invalid(
                place,
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted",
            ));
        }
        if schema::of(place)?.has_generation && desired(&before.object) != desired(&after.object) {
            let generation = before.object["metadata"]["generation"].as_i64().unwrap_or(1);
            after.object["metadata"]["generation"] = (generation + 1).into();
        }
        if dry_run {
            return shown(&after);
        }
        self.put(state, by, &format!("writes as {manager}"), place, after)
    }

    /// Deletes an object, if it has that UID. Objects with finalizers, pods and namespaces are only
    /// marked.
    ///
    /// # Errors
    /// The object doesn't exist, or has another UID.
    pub fn delete(&self, by: &str, place: &Place, uid: Option<&str>) -> Result<(), ClusterError> {
        let mut state = self.lock();
        let mut stored = state.objects.get(place).cloned().ok_or_else(|| not_found(place))?;
        let known = text(&stored.object, "/metadata/uid");
        if uid.is_some_and(|uid| uid != known) {
            let message = format!("the UID in the precondition isn't the UID in the record: {known}");
            return Err(ClusterError::Conflict(message));
        }
        let has_finalizers = stored.object.pointer("/metadata/finalizers").is_some();
        if !has_finalizers && place.kind != "Namespace" && place.kind != "Pod" {
            self.journal.write(by, format!("deletes {place}"));
            self.drop_object(&mut state, place);
            return Ok(());
        }
        if !text(&stored.object, "/metadata/deletionTimestamp").is_empty() {
            self.journal.write(by, format!("deletes {place} again"));
            return Ok(());
        }
        let now = Timestamp::from_second(self.clock.now().as_second()).unwrap_or_default();
        stored.object["metadata"]["deletionTimestamp"] = now.to_string().into();
        if let Some(generation) = stored.object["metadata"].get("generation").and_then(Value::as_i64) {
            stored.object["metadata"]["generation"] = (generation + 1).into();
        }
        if place.kind == "Namespace" {
            stored.object["status"]["phase"] = "Terminating".into();
        }
        self.put(&mut state, by, "deletes", place, stored).map(drop)
    }

    /// Removes a pod that its kubelet has stopped, or what is left of a namespace.
    pub fn finish(&self, place: &Place, uid: &str) {
        let mut state = self.lock();
        if state.shown.get(place).is_some_and(|object| object.metadata.uid.as_deref() == Some(uid)) {
            self.drop_object(&mut state, place);
        }
    }
}

/// Returns the part of an object whose changes are counted in its generation.
fn desired(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("metadata");
        members.remove("status");
    }
    object
}

/// Returns the object after an apply, and its managers without the fields that the apply took over
/// from them.
fn merged(
    stored: &Stored,
    manager: &str,
    part: Part,
    applied: &Value,
    fields: &Fields,
) -> (Value, Vec<Manager>) {
    let mut object = stored.object.clone();
    let mut managers = stored.managers.clone();
    let is_own = |known: &Manager| known.name == manager && known.operation == "Apply" && known.part == part;
    let dropped: Vec<_> = managers
        .iter()
        .filter(|known| is_own(known))
        .flat_map(|known| known.fields.iter())
        .filter(|path| !fields.contains(*path))
        .filter(|path| {
            // An item of a list also stays while somebody else has a field of it.
            let has =
                |known: &Manager| !is_own(known) && known.fields.iter().any(|other| other.starts_with(path));
            !managers.iter().any(has)
        })
        .cloned()
        .collect();
    for path in dropped {
        remove_at(&mut object, &path);
    }
    for known in managers.iter_mut().filter(|known| !is_own(known)) {
        known.fields.retain(|path| {
            !fields.contains(path) || value_at(&stored.object, path) == value_at(applied, path)
        });
    }
    merge(&mut object, applied);
    (object, managers)
}

/// Returns the object as the API server shows it, with its managed fields.
fn shown(stored: &Stored) -> Result<DynamicObject, ClusterError> {
    let mut object = stored.object.clone();
    let managed: Vec<Value> = stored
        .managers
        .iter()
        .map(|manager| {
            let mut entry = json!({
                "manager": manager.name, "operation": manager.operation, "time": manager.time.to_string(),
                "apiVersion": stored.object["apiVersion"], "fieldsType": "FieldsV1",
                "fieldsV1": to_fields_v1(&manager.fields),
            });
            if manager.part == Part::Status {
                entry["subresource"] = "status".into();
            }
            entry
        })
        .collect();
    object["metadata"]["managedFields"] = managed.into();
    serde_json::from_value(object).map_err(|error| refused(400, error.to_string()))
}

/// Returns what a write changed, for the journal: conditions as words, everything else by name.
fn difference(before: &DynamicObject, after: &DynamicObject) -> String {
    let mut changes = Vec::new();
    if before.metadata.annotations != after.metadata.annotations {
        changes.push("annotations".to_owned());
    }
    if before.metadata.finalizers != after.metadata.finalizers {
        changes.push("finalizers".to_owned());
    }
    for part in ["spec", "status"] {
        let names = |object: &DynamicObject| {
            let members = object.data.get(part).and_then(Value::as_object).cloned();
            members.unwrap_or_default()
        };
        let (old, new) = (names(before), names(after));
        let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys.into_iter().filter(|key| old.get(*key) != new.get(*key)) {
            changes.push(match new.get(key).and_then(Value::as_array) {
                Some(conditions) if key == "conditions" => {
                    let word = |condition: &Value| {
                        format!(
                            "{}={}/{}",
                            text(condition, "/type"),
                            text(condition, "/status"),
                            text(condition, "/reason")
                        )
                    };
                    let known = old.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
                    let known: Vec<String> = known.iter().map(word).collect();
                    conditions
                        .iter()
                        .map(word)
                        .filter(|word| !known.contains(word))
                        .collect::<Vec<_>>()
                        .join(" ")
                }
                _ => format!("{part}.{key}"),
            });
        }
    }
    if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) }
}

#[cfg(test)]
mod tests;
