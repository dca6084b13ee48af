//! The object that runs the pods: Deployment, StatefulSet, Job, or CronJobs.

use serde_json::json;

use super::config::Config;
use super::container::{self, Containers, Overrides};
use super::mistakes::{At, Mistakes};
use super::service::Services;
use super::{Context, Profile, name, pod, read};
use crate::{Code, Json, JsonMap};

/// Makes the controllers, and fills `config` with what their pods read.
pub(super) fn controllers<'a>(
    context: &Context<'a>,
    services: &Services,
    config: &mut Config<'a>,
    mistakes: &mut Mistakes,
) -> Vec<Json> {
    if context.profile == Profile::CronJob {
        return cron_jobs(context, config, mistakes);
    }
    let ports = &services.container_ports;
    let containers = container::containers(context, None, ports, config, mistakes);
    let template = pod::template(context, containers, config.checksum().as_deref(), mistakes);
    let feature = context.profile.feature();
    let (metadata, mut spec) = feature_of(context, feature, mistakes);
    spec.insert("template".to_owned(), template);
    let (api_version, kind) = match context.profile {
        Profile::Deployment => ("apps/v1", "Deployment"),
        Profile::StatefulSet => ("apps/v1", "StatefulSet"),
        Profile::Job | Profile::CronJob => ("batch/v1", "Job"),
    };
    if api_version == "apps/v1" {
        let selector = name::selector(context);
        spec.insert("selector".to_owned(), json!({"matchLabels": selector}));
        // Absent: an autoscaler owns the field, and applying would reset it.
        let replicas = replicas(context, spec.remove("replicas").as_ref(), mistakes);
        if !context.workload.autoscaled {
            spec.insert("replicas".to_owned(), Json::from(replicas));
        }
    }
    if let Some(governing) = &services.governing {
        spec.insert("serviceName".to_owned(), Json::from(governing.as_str()));
    }
    let name = name::object_name(context.workload.id);
    vec![object(api_version, kind, metadata.finish(context, Some(name)), spec)]
}

fn object(api_version: &str, kind: &str, metadata: Json, spec: JsonMap) -> Json {
    Json::Object(super::members([
        ("apiVersion", Json::from(api_version)),
        ("kind", Json::from(kind)),
        ("metadata", metadata),
        ("spec", Json::Object(spec)),
    ]))
}

/// A spec that says nothing about replicas leaves the run-time scale alone.
fn replicas(context: &Context<'_>, own: Option<&Json>, mistakes: &mut Mistakes) -> u64 {
    let feature = At::ROOT.member(context.profile.feature());
    let bounds = 0..=i32::MAX as u64;
    let own = read::number(own, bounds.clone(), &feature.member("replicas"), mistakes);
    let at = At::ROOT.member("replicas");
    let general = read::number(context.spec.get("replicas"), bounds, &at, mistakes);
    own.or(general).or(context.workload.scale.map(u64::from)).unwrap_or(1)
}

fn cron_jobs<'a>(
    context: &Context<'a>,
    config: &mut Config<'a>,
    mistakes: &mut Mistakes,
) -> Vec<Json> {
    let at = At::ROOT.member("schedules");
    let schedules = read::object(context.spec.get("schedules"), &at, mistakes);
    let Some(schedules) = schedules.filter(|schedules| !schedules.is_empty()) else {
        if context.spec.get("schedules").is_none_or(read::is_empty) {
            let message = format!("cron job `{}` has no schedules", context.workload.id);
            mistakes
                .add(Code::Workload, &at, message)
                .hint("add one, for example `{\"nightly\": {\"schedule\": \"0 3 * * *\"}}`");
        }
        // The containers still deserve a look.
        let _: Containers = container::containers(context, None, &[], config, mistakes);
        return Vec::new();
    };

    // All containers first: the checksum covers what the pods of any schedule read.
    let mut runs = Vec::new();
    let empty = JsonMap::new();
    for (schedule, value) in schedules {
        let at = at.member(schedule);
        if !name::is_dns_label(schedule) {
            let message = format!("`{schedule}` cannot name a schedule: it is not a DNS label");
            mistakes.add(Code::Workload, &at, message);
        }
        let Some(members) = read::object(Some(value), &at, mistakes) else {
            if value.is_null() {
                let message = format!("schedule `{schedule}` is empty");
                mistakes.add(Code::Workload, &at, message);
            }
            continue;
        };
        let cron = cron(schedule, members.get("schedule"), &at, mistakes);
        let over_at = at.member("containers");
        let over = read::object(members.get("containers"), &over_at, mistakes).unwrap_or(&empty);
        let overrides = Overrides { schedule, containers: over };
        container::check_overrides(context, overrides, &over_at, mistakes);
        let containers = container::containers(context, Some(overrides), &[], config, mistakes);
        runs.push((schedule, members, cron, containers));
    }

    let checksum = config.checksum();
    let (cron_metadata, cron_spec) = feature_of(context, "cronjob", mistakes);
    let (job_metadata, job_spec) = feature_of(context, "job", mistakes);
    let mut objects = Vec::new();
    for (schedule, members, cron, containers) in runs {
        let template = pod::template(context, containers, checksum.as_deref(), mistakes);
        let mut job_spec = job_spec.clone();
        job_spec.insert("template".to_owned(), template);
        let mut spec = cron_spec.clone();
        // Fields of one schedule, such as `timeZone`, win over those of all.
        for (field, value) in members {
            if field != "containers" && field != "jobTemplate" && !value.is_null() {
                spec.insert(field.clone(), value.clone());
            }
        }
        spec.insert("schedule".to_owned(), Json::from(cron));
        let job = super::members([
            ("metadata", job_metadata.clone().finish(context, None)),
            ("spec", Json::Object(job_spec)),
        ]);
        spec.insert("jobTemplate".to_owned(), Json::Object(job));
        let name = name::cron_job_name(context.workload.id, schedule);
        let metadata = cron_metadata.clone().finish(context, Some(name));
        objects.push(object("batch/v1", "CronJob", metadata, spec));
    }
    objects
}

/// A cron expression: five fields or a macro. What the fields say is for the cluster to judge.
fn cron<'a>(
    schedule: &str,
    value: Option<&'a Json>,
    at: &At<'_>,
    mistakes: &mut Mistakes,
) -> &'a str {
    let place = at.member("schedule");
    let cron = read::string(value, &place, mistakes);
    let problem = match cron {
        Some(text) if text.trim_start().starts_with('@') => return text,
        Some(text) if text.contains("TZ=") => {
            format!("schedule `{schedule}` sets a time zone in `{text}`")
        }
        Some(text) if text.split_whitespace().count() == 5 => return text,
        Some(text) => format!(
            "schedule `{schedule}` has the cron expression `{text}` with {} fields instead of 5",
            text.split_whitespace().count()
        ),
        None if value.is_none_or(read::is_empty) => {
            format!("schedule `{schedule}` has no cron expression in `schedule`")
        }
        None => return "",
    };
    let hint = match cron {
        Some(text) if text.contains("TZ=") => "write `timeZone` beside `schedule`",
        _ => "minute, hour, day of month, month, day of week: `0 3 * * 1-5`",
    };
    mistakes.add(Code::Workload, &place, problem).hint(hint);
    ""
}

#[derive(Clone)]
struct Metadata {
    labels: JsonMap,
    annotations: JsonMap,
}

impl Metadata {
    fn finish(self, context: &Context<'_>, name: Option<String>) -> Json {
        name::metadata(context, name, self.labels, self.annotations)
    }
}

/// A feature map: labels and annotations go to the metadata, everything else into the spec.
fn feature_of(
    context: &Context<'_>,
    feature: &str,
    mistakes: &mut Mistakes,
) -> (Metadata, JsonMap) {
    let at = At::ROOT.member(feature);
    let mut labels = JsonMap::new();
    let mut annotations = JsonMap::new();
    let mut spec = JsonMap::new();
    let members = read::object(context.spec.get(feature), &at, mistakes);
    for (member, value) in members.into_iter().flatten() {
        let place = at.member(member);
        let instead = match member.as_str() {
            "labels" => {
                read::texts(Some(value), &place, &mut labels, mistakes);
                continue;
            }
            "annotations" => {
                read::texts(Some(value), &place, &mut annotations, mistakes);
                continue;
            }
            "template" => "describe the pod under `pod`",
            "selector" => "the selector is always the workload's own pods",
            "jobTemplate" => "describe the job under `job`",
            "schedule" if feature == "cronjob" => "name the schedules under `schedules`",
            _ => {
                if !value.is_null() {
                    spec.insert(member.clone(), value.clone());
                }
                continue;
            }
        };
        let message =
            format!("`{feature}.{member}` of workload `{}` cannot be set", context.workload.id);
        mistakes.add(Code::Workload, &place, message).hint(instead);
    }
    (Metadata { labels, annotations }, spec)
}
