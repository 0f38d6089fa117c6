//! Projects: a team with a GitHub repository, for one test or the demo.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use github_stand_in::control::types::{NewHook, NewRepository, Role};
use serde_json::{Value, json};

use super::account::USER;
use super::{CLASS, OWNER, Stage};
use crate::objects::apply_object;
use crate::{Image, sample};

const TEMPLATE: &str = include_str!("../../manifests/stage/template.yaml");
const REPOSITORY: &str = include_str!("../../manifests/stage/repository.yaml");
/// Longest time until the operator has reconciled a new PreviewRepository.
const SEEN_WITHIN: Duration = Duration::from_mins(1);

/// A project to create.
#[derive(Clone, Debug)]
pub struct NewProject {
    name: String,
    owner: String,
    namespace: String,
    class: String,
    image: String,
    environment: Vec<(String, String)>,
    template: Option<String>,
    repository: Option<String>,
    webhook: bool,
}

impl NewProject {
    /// Returns the usual project: a repository `acme/<name>` with a webhook, and in the namespace
    /// `team-<name>` a PreviewTemplate and a PreviewRepository of that name and of the class
    /// [`CLASS`]. Each pull request has a preview of the sample application.
    ///
    /// The sample shows the commit's first seven characters, the pull request's number, and the
    /// parameter `message`. Its image is the deployment payload's `image`, else
    /// [`crate::Playground::sample_image`].
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            owner: OWNER.to_owned(),
            namespace: format!("team-{name}"),
            class: CLASS.to_owned(),
            image: format!("{{{{ payload.image | default('{}') }}}}", sample::SAMPLE_IMAGE),
            environment: Vec::new(),
            template: None,
            repository: None,
            webhook: true,
        }
    }

    /// Sets the account that owns the repository.
    #[must_use]
    pub fn owner(mut self, owner: &str) -> Self {
        owner.clone_into(&mut self.owner);
        self
    }

    /// Sets the namespace of the team's objects.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Sets the PreviewClass that the usual PreviewRepository names.
    #[must_use]
    pub fn class(mut self, class: &str) -> Self {
        class.clone_into(&mut self.class);
        self
    }

    /// Sets the image in the usual template, which may have placeholders: `localhost/shop:{{ sha
    /// }}`.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// Adds an environment variable to the container in the usual template; its value may have
    /// placeholders. Variables make the sample application fail in various ways: `CRASH_AFTER`,
    /// `START_DELAY`, `NEVER_READY` and others.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the PreviewTemplate, given or usual.
    ///
    /// # Errors
    /// When the given one is no YAML.
    pub fn template_object(&self) -> Result<Value> {
        if let Some(given) = &self.template {
            return serde_saphyr::from_str(given).context("the template is no YAML");
        }
        let mut template: Value = serde_saphyr::from_str(&TEMPLATE.replace("NAME", &self.name))?;
        let container = &mut template["spec"]["resources"][0]["spec"]["template"]["spec"]["containers"][0];
        container["image"] = self.image.as_str().into();
        let variables = container["env"].as_array_mut().context("the usual template has variables")?;
        variables.extend(self.environment.iter().map(|(name, value)| json!({"name": name, "value": value})));
        Ok(template)
    }

    /// Returns the PreviewRepository, given or usual.
    ///
    /// # Errors
    /// When the given one is no YAML.
    pub fn repository_object(&self) -> Result<Value> {
        let usual = || {
            REPOSITORY
                .replace("FULL_NAME", &format!("{}/{}", self.owner, self.name))
                .replace("NAME", &self.name)
                .replace("CLASS", &self.class)
        };
        let yaml = self.repository.clone().unwrap_or_else(usual);
        serde_saphyr::from_str(&yaml).context("the PreviewRepository is no YAML")
    }

    /// Replaces the usual PreviewTemplate by this YAML, which may omit the namespace.
    #[must_use]
    pub fn template(mut self, yaml: &str) -> Self {
        self.template = Some(yaml.to_owned());
        self
    }

    /// Replaces the usual PreviewRepository by this YAML, which may omit the namespace.
    #[must_use]
    pub fn repository(mut self, yaml: &str) -> Self {
        self.repository = Some(yaml.to_owned());
        self
    }

    /// Omits the webhook, so that the operator gets all changes from its sweeps.
    #[must_use]
    pub fn without_webhook(mut self) -> Self {
        self.webhook = false;
        self
    }
}

/// A team with a GitHub repository.
#[derive(Clone, Debug)]
pub struct Project {
    /// The name of its objects.
    pub name: String,
    /// The namespace of its objects.
    pub namespace: String,
    /// The repository on the stand-in, as `owner/name`.
    pub repository: String,
    /// The repository's webhook to the operator, if it has one.
    pub hook: Option<u64>,
}

impl Stage {
    /// Creates a project, and waits until the operator has reconciled its PreviewRepository with
    /// any result. From then on the operator accepts its webhooks.
    ///
    /// # Errors
    /// When an object is rejected, a repository of that name exists, or the operator doesn't
    /// reconcile it.
    pub async fn project(&self, new: NewProject) -> Result<Project> {
        let full_name = format!("{}/{}", new.owner, new.name);
        let github = self.github();
        github
            .create_repository(NewRepository { full_name: full_name.clone(), ..NewRepository::default() })
            .await?;
        github.set_role(&full_name, USER, Role::Write).await?;
        let hook = if new.webhook { Some(self.hook(&full_name).await?) } else { None };

        self.namespace(&new.namespace).await?;
        self.apply_object_within(&new.namespace, new.template_object()?).await?;
        let repository = self.apply_object_within(&new.namespace, new.repository_object()?).await?;
        self.seen(&new.namespace, &repository).await?;
        Ok(Project { name: new.name, namespace: new.namespace, repository: full_name, hook })
    }

    /// Creates a webhook that sends all of a repository's events to the operator. Returns its id.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn hook(&self, repository: &str) -> Result<u64> {
        let hook = NewHook {
            url: self.operator.webhook_url(),
            secret: Some(self.webhook_secret().to_owned()),
            events: vec!["*".to_owned()],
            content_type: None,
        };
        Ok(self.github().create_hook(repository, hook).await?)
    }

    /// Creates a namespace if it is missing.
    ///
    /// # Errors
    /// When the API server rejects it.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        let metadata = json!({"name": name});
        apply_object(&self.client, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
            .await
    }

    /// Applies an object in a namespace with the administrator's rights. Returns its name.
    ///
    /// # Errors
    /// When it is rejected; the message names it.
    pub async fn apply_object_within(&self, namespace: &str, mut object: Value) -> Result<String> {
        object["metadata"]["namespace"] = namespace.into();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        apply_object(&self.client, object).await?;
        Ok(name)
    }

    /// Waits until the operator has reconciled a PreviewRepository's present generation.
    ///
    /// # Errors
    /// When it doesn't within a minute.
    pub async fn seen(&self, namespace: &str, repository: &str) -> Result<()> {
        let what = format!("the operator looks at PreviewRepository {namespace}/{repository}");
        self.wait_for(&what, SEEN_WITHIN, async || {
            let found = self.repositories(namespace).get(repository).await?;
            let observed = found.data["status"]["observedGeneration"].as_i64();
            if observed != found.metadata.generation {
                bail!("{}", super::conditions(&found));
            }
            Ok(())
        })
        .await
    }

    /// Loads the sample application into the node under another image name, as a build of a commit
    /// would.
    ///
    /// # Errors
    /// When the node rejects it.
    pub async fn publish(&self, image: &str) -> Result<()> {
        let Some(sample) = &self.playground.sample else { return Ok(()) };
        let files = [("/sample", sample.as_path())];
        self.playground
            .load_image(&Image { name: image, files: &files, entrypoint: &["/sample"], ..Image::default() })
            .await
    }
}
