//! Who writes logs: the pods of every application of every tenant on every cluster.

use mtlog_processor::model::{
    ids::TenantId,
    key::{InvalidKey, KeyPrefix, LogObject},
};
use thiserror::Error;

use super::random::Random;

/// The names that pods are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Population {
    /// The clusters. Every tenant is on each.
    pub clusters: Vec<String>,
    /// The tenants.
    pub tenants: Vec<TenantId>,
    /// The applications. Every tenant has each.
    pub applications: Vec<String>,
    /// The pods of one application of one tenant on one cluster.
    pub replicas: Replicas,
}

/// The pods of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replicas {
    /// So many, with names as a Deployment gives them.
    Count(u32),
    /// One, of this name.
    Named(String),
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The cluster that it runs in.
    pub cluster: String,
    /// Its namespace.
    pub tenant: TenantId,
    /// Its application.
    pub application: String,
    /// Its name.
    pub name: String,
    /// The name of its random sequences, unique in the population.
    pub(crate) sequence: String,
}

/// Names that no object key can be made of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPopulation {
    /// One of the lists is empty.
    #[error("there is no {0} to write logs")]
    Empty(&'static str),
    /// A name is given twice, so its records would be counted for both.
    #[error("the {what} `{name}` is given twice")]
    Twice {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The key of a pod's objects could not be read back.
    #[error("the object key `{key}` cannot be used")]
    Key {
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: InvalidKey,
    },
    /// A cluster, application or pod has a `/` in its name, and the key would say something else.
    #[error("a name in the object key `{key}` contains a `/`")]
    Slash {
        /// The key.
        key: String,
    },
}

impl Population {
    /// Lists the pods, in an order and with names that `seed` decides.
    pub fn pods(&self, seed: u64) -> Result<Vec<Pod>, InvalidPopulation> {
        let tenants: Vec<String> = self.tenants.iter().map(ToString::to_string).collect();
        distinct("cluster", &self.clusters)?;
        distinct("tenant", &tenants)?;
        distinct("application", &self.applications)?;
        let replicas = match self.replicas {
            Replicas::Count(0) => return Err(InvalidPopulation::Empty("pod")),
            Replicas::Count(count) => count,
            Replicas::Named(_) => 1,
        };
        let mut pods = Vec::new();
        for cluster in &self.clusters {
            for tenant in &self.tenants {
                for application in &self.applications {
                    for replica in 0..replicas {
                        pods.push(self.pod(seed, cluster, tenant, application, replica)?);
                    }
                }
            }
        }
        Ok(pods)
    }

    fn pod(
        &self,
        seed: u64,
        cluster: &str,
        tenant: &TenantId,
        application: &str,
        replica: u32,
    ) -> Result<Pod, InvalidPopulation> {
        let owner = format!("{cluster}/{tenant}/{application}");
        let sequence = format!("{owner}/{replica}");
        let name = match &self.replicas {
            Replicas::Named(name) => name.clone(),
            Replicas::Count(_) => deployment_pod(seed, application, &owner, &sequence),
        };
        let pod = Pod {
            cluster: cluster.to_owned(),
            tenant: tenant.clone(),
            application: application.to_owned(),
            name,
            sequence,
        };
        check_key(&pod)?;
        Ok(pod)
    }
}

impl Pod {
    /// Returns an object of this pod, called `file`.
    pub fn object(&self, file: String) -> LogObject {
        LogObject {
            cluster: self.cluster.clone(),
            tenant: self.tenant.clone(),
            application: self.application.clone(),
            pod: self.name.clone(),
            file,
        }
    }
}

/// Names a pod like a Deployment does: application, hash of the template, suffix.
fn deployment_pod(seed: u64, application: &str, owner: &str, sequence: &str) -> String {
    const SUFFIX_LETTERS: &[&str] =
        &["b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "q", "r", "s", "t"];
    let mut name = format!("{application}-");
    Random::named(seed, owner).hex(9, &mut name);
    name.push('-');
    let mut random = Random::named(seed, sequence);
    for _ in 0..5 {
        name.push_str(random.pick(SUFFIX_LETTERS));
    }
    name
}

fn distinct(what: &'static str, names: &[String]) -> Result<(), InvalidPopulation> {
    if names.is_empty() {
        return Err(InvalidPopulation::Empty(what));
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    let twice = sorted.array_windows().find(|[one, other]| one == other);
    twice.map_or(Ok(()), |[name, _]| Err(InvalidPopulation::Twice { what, name: (*name).clone() }))
}

/// The engine must find the pod in the key again.
fn check_key(pod: &Pod) -> Result<(), InvalidPopulation> {
    // As long as the name that an object will have.
    let object =
        pod.object("20261123-094133-00000000-0000-4000-8000-000000000000.json.gz".to_owned());
    let key = object.key(&KeyPrefix::default());
    match LogObject::parse(&key, &KeyPrefix::default()) {
        Ok(read) if read == object => Ok(()),
        Ok(_) => Err(InvalidPopulation::Slash { key }),
        Err(source) => Err(InvalidPopulation::Key { key, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population() -> Population {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Population {
            clusters: names(&["prod-eu", "prod-us"]),
            tenants: vec!["acme".parse().unwrap(), "globex".parse().unwrap()],
            applications: names(&["web", "api", "etcd"]),
            replicas: Replicas::Count(2),
        }
    }

    #[test]
    fn every_application_of_every_tenant_on_every_cluster_has_its_pods() {
        let pods = population().pods(1).unwrap();
        assert_eq!(pods.len(), 2 * 2 * 3 * 2);
        let mut names: Vec<String> =
            pods.iter().map(|pod| pod.object("f".to_owned()).key(&KeyPrefix::default())).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), pods.len());
        assert_eq!(pods, population().pods(1).unwrap());
        assert_ne!(pods, population().pods(2).unwrap());
    }

    #[test]
    fn pods_of_one_application_share_the_template_hash() {
        let pods = population().pods(1).unwrap();
        let head = |pod: &Pod| pod.name.rsplit_once('-').unwrap().0.to_owned();
        assert_eq!(head(&pods[0]), head(&pods[1]));
        assert_ne!(head(&pods[0]), head(&pods[2]));
        assert_ne!(pods[0].name, pods[1].name);
    }

    #[test]
    fn a_pod_can_be_named() {
        let pods = Population { replicas: Replicas::Named("etcd-0".to_owned()), ..population() }
            .pods(1)
            .unwrap();
        assert!(pods.iter().all(|pod| pod.name == "etcd-0"));
    }

    #[test]
    fn names_that_make_no_key_are_refused() {
        let check = |change: &dyn Fn(&mut Population), expected: &str| {
            let mut population = population();
            change(&mut population);
            let error = population.pods(1).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(&|p| p.tenants.clear(), "no tenant");
        check(&|p| p.replicas = Replicas::Count(0), "no pod");
        check(
            &|p| p.clusters = vec!["a".to_owned(), "a".to_owned()],
            "the cluster `a` is given twice",
        );
        check(&|p| p.applications = vec!["a/b".to_owned()], "`/`");
        check(&|p| p.clusters = vec!["..".to_owned()], "cannot be used");
        check(&|p| p.applications = vec!["x".repeat(1000)], "cannot be used");
    }
}
