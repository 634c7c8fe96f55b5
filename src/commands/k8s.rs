//! `mtlog k8s`: the manifests of collector and processor, filled from the stacks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{
    Context,
    target::{self, Opened, StackArgs},
};
use crate::{
    cli::ConsentArgs,
    deploy::{stack::Stack, target::Target},
    error::{CliError, ExitStatus, Message},
    image::reference::ImageReference,
    k8s::{
        component::{self, Component, Overlay},
        kubectl::{Kubectl, KubectlError},
        manifests,
        settings::{IncompleteSettings, Named, Settings, Stacks},
        value::NamespaceSelector,
        workload::{self, PodProblem, Workload},
    },
    ui::{Report, table::Table},
};

/// The namespace of both components, as `k8s/namespace` names it.
const NAMESPACE: &str = "logging";
/// The regional stack's parameter with the image of the function, which is the processor's too.
const REGIONAL_IMAGE: &str = "ECRImageUri";

/// Fill in, apply and check the Kubernetes manifests
#[derive(Debug, Args)]
pub struct K8sArgs {
    #[command(subcommand)]
    command: K8sCommand,
}

#[derive(Debug, Subcommand)]
enum K8sCommand {
    /// Print the manifests of a cluster, filled in from the stacks
    #[command(after_help = "\
Examples:
  mtlog k8s render processor --cluster production-cluster -e production --image REPOSITORY@sha256:DIGEST
  mtlog k8s render collector --cluster production-cluster --image REPOSITORY@sha256:DIGEST --print-settings \\
    > k8s/collector/settings/settings.env
  mtlog k8s render collector --cluster test -e development --overlay base --image REPOSITORY@sha256:DIGEST \\
    --namespace-selector tenant=true
  mtlog k8s render collector --settings settings.env --overlay base --with podmonitor")]
    Render(RenderArgs),
    /// Show what would change in the cluster, ask, and apply it
    Apply(ApplyArgs),
    /// Compare what runs with what should run
    Check(ClusterArgs),
}

#[derive(Debug, Args)]
struct RenderArgs {
    #[command(flatten)]
    manifests: ManifestArgs,
    /// Print only the lines of settings.env
    #[arg(long)]
    print_settings: bool,
}

#[derive(Debug, Args)]
struct ApplyArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Args)]
struct ClusterArgs {
    #[command(flatten)]
    manifests: ManifestArgs,
    /// Context of the kubeconfig; the current one when absent
    #[arg(long, value_name = "NAME")]
    kube_context: Option<String>,
}

#[derive(Debug, Args)]
struct ManifestArgs {
    /// What runs in the cluster
    #[arg(value_enum, value_name = "COMPONENT")]
    component: ComponentName,
    /// development, staging or production for OpenShift, base for plain Kubernetes [default: the environment]
    #[arg(long, value_name = "NAME")]
    overlay: Option<Overlay>,
    /// Add an optional part, such as keda, hpa, servicemonitor, dashboard or podmonitor; may be repeated
    #[arg(long = "with", value_name = "PART")]
    parts: Vec<String>,
    /// The image, by digest [default for the processor: the image of the regional stack's function]
    #[arg(long, value_name = "REFERENCE")]
    image: Option<ImageReference>,
    /// The label of the namespaces whose logs are collected [default: those of hosted control planes]
    #[arg(long, value_name = "KEY=VALUE")]
    namespace_selector: Option<NamespaceSelector>,
    /// Take the settings from this file instead of from the stacks; no call to AWS is made
    #[arg(long, value_name = "PATH", conflicts_with_all = ["image", "namespace_selector"])]
    settings: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ComponentName {
    /// Vector on every node
    Collector,
    /// The engine, reading the queue
    Processor,
}

impl From<ComponentName> for Component {
    fn from(name: ComponentName) -> Self {
        match name {
            ComponentName::Collector => Self::Collector,
            ComponentName::Processor => Self::Processor,
        }
    }
}

/// Runs `mtlog k8s`.
pub async fn run(context: &Context<'_>, args: K8sArgs) -> Result<ExitStatus, CliError> {
    match args.command {
        K8sCommand::Render(args) => render(context, &args).await,
        K8sCommand::Apply(args) => apply(context, &args).await,
        K8sCommand::Check(args) => check(context, &args).await,
    }
}

async fn render(context: &Context<'_>, args: &RenderArgs) -> Result<ExitStatus, CliError> {
    let rendered = Rendered::of(context, &args.manifests).await?;
    let text = if args.print_settings { rendered.settings.to_text() } else { rendered.build()? };
    context.ui.data(&text);
    Ok(ExitStatus::Success)
}

async fn apply(context: &Context<'_>, args: &ApplyArgs) -> Result<ExitStatus, CliError> {
    let ui = context.ui;
    let rendered = Rendered::of(context, &args.cluster.manifests).await?;
    let manifests = rendered.build()?;
    let kubectl = args.cluster.kubectl();
    let difference = difference(&kubectl, &manifests)?;
    if difference.is_empty() {
        ui.status(&format!("The {} is as it should be; nothing to apply.", rendered.component));
        return Ok(ExitStatus::Success);
    }
    ui.data(&difference);
    let question = format!("Apply these changes to the {}?", args.cluster.named());
    let _consent = ui.agree(&question, &args.consent.answers())?;
    ui.data(&kubectl.apply(&manifests).map_err(CliError::from)?);
    Ok(ExitStatus::Success)
}

#[derive(Debug, Serialize)]
struct CheckReport {
    component: &'static str,
    overlay: &'static str,
    image: Option<String>,
    workload: Option<Workload>,
    /// Pods that are not ready.
    problems: Vec<PodProblem>,
    difference: String,
}

impl CheckReport {
    fn is_good(&self) -> bool {
        self.difference.is_empty() && self.workload.as_ref().is_some_and(Workload::is_settled)
    }
}

impl Report for CheckReport {
    fn tables(&self) -> Vec<Table> {
        let mut table =
            Table::new(["COMPONENT", "WANTED", "UPDATED", "READY", "IMAGE", "MANIFESTS"]);
        let number = |read: fn(&Workload) -> u64| {
            self.workload
                .as_ref()
                .map_or_else(|| "-".to_owned(), |workload| read(workload).to_string())
        };
        let running = self.workload.as_ref().map(|workload| workload.images.join(", "));
        let image = match (&self.image, &running) {
            (Some(wanted), Some(running)) if wanted == running => "as wanted".to_owned(),
            (_, Some(running)) => running.clone(),
            (_, None) => "-".to_owned(),
        };
        let manifests = if self.difference.is_empty() { "as wanted" } else { "differ" };
        table.row([
            self.component.to_owned(),
            number(|workload| workload.wanted),
            number(|workload| workload.updated),
            number(|workload| workload.ready),
            image,
            manifests.to_owned(),
        ]);
        if self.problems.is_empty() {
            return vec![table];
        }
        let mut problems = Table::new(["POD", "NODE", "NOT READY BECAUSE"]);
        for problem in &self.problems {
            let node = problem.node.clone().unwrap_or_else(|| "-".to_owned());
            problems.row([problem.pod.clone(), node, problem.problem.clone()]);
        }
        vec![table, problems]
    }
}

async fn check(context: &Context<'_>, args: &ClusterArgs) -> Result<ExitStatus, CliError> {
    let rendered = Rendered::of(context, &args.manifests).await?;
    let manifests = rendered.build()?;
    let kubectl = args.kubectl();
    let (kind, name) = rendered.component.workload();
    let running = kubectl.get(kind, name, NAMESPACE).map_err(CliError::from)?;
    let running = running.as_ref().map(Workload::read);
    let problems = match &running {
        Some(workload) if !workload.is_settled() => {
            workload::problems(&kubectl.pods(name, NAMESPACE).map_err(CliError::from)?)
        }
        Some(_) | None => Vec::new(),
    };
    let image =
        ["COLLECTOR_IMAGE", "PROCESSOR_IMAGE"].iter().find_map(|name| rendered.settings.get(name));
    let report = CheckReport {
        component: rendered.component.as_str(),
        overlay: rendered.overlay.as_str(),
        image: image.map(str::to_owned),
        workload: running,
        problems,
        difference: difference(&kubectl, &manifests)?,
    };
    context.ui.emit(&report)?;
    if report.is_good() {
        return Ok(ExitStatus::Success);
    }
    if !report.difference.is_empty() {
        context.ui.detail(&report.difference);
        context.ui.status("The manifests differ from what runs: --verbose shows where, `mtlog k8s apply` mends it.");
    }
    if report.workload.is_none() {
        context.ui.status(&format!("There is no {kind} `{name}` in namespace {NAMESPACE}."));
    }
    Ok(ExitStatus::Different)
}

/// Returns what applying would change. A cluster without the namespace has nothing to compare with: all is new.
fn difference(kubectl: &Kubectl, manifests: &str) -> Result<String, CliError> {
    let namespace = kubectl.get("namespace", NAMESPACE, NAMESPACE).map_err(CliError::from)?;
    if namespace.is_some() {
        return kubectl.diff(manifests).map_err(CliError::from);
    }
    let lines = manifests.lines().map(|line| format!("+{line}\n"));
    Ok(format!(
        "Namespace {NAMESPACE} does not exist; everything is new:\n{}",
        lines.collect::<String>()
    ))
}

/// What is to be built.
struct Rendered {
    component: Component,
    overlay: Overlay,
    parts: Vec<&'static str>,
    settings: Settings,
}

impl Rendered {
    async fn of(context: &Context<'_>, args: &ManifestArgs) -> Result<Self, CliError> {
        let component = Component::from(args.component);
        let parts = parts(component, &args.parts)?;
        if component == Component::Processor && args.namespace_selector.is_some() {
            let text =
                "--namespace-selector is for the collector: the processor knows no namespaces";
            return Err(CliError::new(ExitStatus::Usage, Message(text.to_owned())));
        }
        let flags = args.stack.flags(&[]);
        let settings = crate::config::deploy::resolve(&context.layers, &flags)?;
        let overlay = match args.overlay {
            Some(overlay) => overlay,
            None => settings
                .environment
                .value
                .as_str()
                .parse()
                .map_err(|error| CliError::new(ExitStatus::Usage, error))?,
        };
        let settings = match &args.settings {
            Some(path) => from_file(component, path)?,
            None => {
                let named = Named {
                    image: args.image.as_ref(),
                    selector: args.namespace_selector.as_ref(),
                };
                from_stacks(&target::open(context, &flags).await?, component, named).await?
            }
        };
        Ok(Self { component, overlay, parts, settings })
    }

    fn build(&self) -> Result<String, CliError> {
        let unexpected = |error| CliError::new(ExitStatus::Unexpected, error);
        let scratch = tempfile::tempdir().map_err(unexpected)?;
        let chosen = manifests::write(
            scratch.path(),
            self.component,
            self.overlay,
            &self.parts,
            &self.settings,
        )
        .map_err(unexpected)?;
        Kubectl::kustomize(&chosen).map_err(CliError::from)
    }
}

fn parts(component: Component, names: &[String]) -> Result<Vec<&'static str>, CliError> {
    let known = component::optional_parts(component);
    let mut chosen = Vec::new();
    for name in names {
        let Some(part) = known.iter().find(|part| *part == name) else {
            let text = format!(
                "`{name}` is no optional part of the {component}: there is {}",
                known.join(", ")
            );
            return Err(CliError::new(ExitStatus::Usage, Message(text)));
        };
        if !chosen.contains(part) {
            chosen.push(*part);
        }
    }
    if chosen.contains(&"keda") && chosen.contains(&"hpa") {
        let text = "keda and hpa both set the number of processors: choose one";
        return Err(CliError::new(ExitStatus::Usage, Message(text.to_owned())));
    }
    Ok(chosen)
}

fn from_file(component: Component, path: &Path) -> Result<Settings, CliError> {
    let text = fs::read_to_string(path).map_err(|error| {
        CliError::new(ExitStatus::Usage, error)
            .hint(format!("--settings {} cannot be read", path.display()))
    })?;
    Settings::from_text(component, &text).map_err(|error| {
        let hint = format!(
            "the settings are in {}; settings.env.sample beside it explains the lines",
            path.display()
        );
        CliError::new(ExitStatus::Usage, error).hint(hint)
    })
}

async fn from_stacks(
    opened: &Opened,
    component: Component,
    named: Named<'_>,
) -> Result<Settings, CliError> {
    if opened.settings.cluster.is_none() {
        let text = "the cluster is missing: give --cluster or set CLUSTER_NAME".to_owned();
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    }
    let client = opened.session.cloudformation();
    let regional = opened.existing(&client, Target::Regional).await?;
    let cluster = opened.existing(&client, component.cluster_stack()).await?;
    let deployed = deployed_image(component, &regional);
    let stacks = Stacks { regional: &regional, cluster: &cluster };
    let named = Named { image: named.image.or(deployed.as_ref()), ..named };
    Settings::from_stacks(component, stacks, named).map_err(|error| incomplete(component, error))
}

/// Returns the image of the regional stack's function, which is the processor's image.
fn deployed_image(component: Component, regional: &Stack) -> Option<ImageReference> {
    match component {
        Component::Collector => None,
        Component::Processor => regional.parameters.get(REGIONAL_IMAGE)?.parse().ok(),
    }
}

fn incomplete(component: Component, error: IncompleteSettings) -> CliError {
    let lacks = |text: &str| error.problems.iter().any(|problem| problem.contains(text));
    let (no_image, no_queue) = (lacks("_IMAGE"), lacks("LogDelivery"));
    let mut failure = CliError::new(ExitStatus::Preflight, error);
    if no_image {
        failure = failure
            .hint("give --image REPOSITORY@sha256:DIGEST; a tag may name another image tomorrow");
        if component == Component::Processor {
            failure = failure.next("mtlog image publish processor");
        }
    }
    if no_queue {
        failure = failure
            .hint("the regional stack has no queues")
            .next("mtlog deploy regional --include-sqs");
    }
    failure
}

impl ClusterArgs {
    fn kubectl(&self) -> Kubectl {
        Kubectl { context: self.kube_context.clone() }
    }

    fn named(&self) -> String {
        match &self.kube_context {
            Some(context) => format!("cluster of context {context}"),
            None => "cluster of the current context".to_owned(),
        }
    }
}

impl From<KubectlError> for CliError {
    fn from(error: KubectlError) -> Self {
        let hint = match &error {
            KubectlError::Start(_) => {
                Some("kubectl must be on the PATH: https://kubernetes.io/docs/tasks/tools/")
            }
            KubectlError::Failed { verb: "kustomize", .. }
            | KubectlError::Input { .. }
            | KubectlError::Answer { .. } => None,
            KubectlError::Failed { .. } => Some(
                "`kubectl config current-context` shows which cluster is meant; --kube-context chooses another",
            ),
        };
        let failure = Self::new(ExitStatus::Unexpected, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
