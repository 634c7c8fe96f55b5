//! In which order stacks are deployed: waves of regions, in each the stages of dependence. Pure.

use mtlog_processor::model::ids::Region;

use super::target::Target;

/// A stack to be deployed: what, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// What.
    pub target: Target,
    /// Where.
    pub region: Region,
}

/// Stacks that depend on none of each other: they are deployed at the same time.
pub type Stage = Vec<Unit>;

/// Regions that are deployed to at the same time, stage after stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// The stages.
    pub stages: Vec<Stage>,
}

/// Puts `targets` in all regions in order.
///
/// The global stack comes first and once, in `home`. Then each wave of regions: the regional and the customer's stacks
/// of all its regions at the same time, after them those of clusters.
pub fn schedule(targets: &[Target], home: &Region, waves: &[Vec<Region>]) -> Vec<Wave> {
    let stage_of = |regions: &[Region], stage: &[Target]| -> Stage {
        regions
            .iter()
            .flat_map(|region| {
                let wanted = stage.iter().filter(|target| targets.contains(target));
                wanted.map(|target| Unit { target: *target, region: region.clone() })
            })
            .collect()
    };
    let mut schedule: Vec<Wave> = waves
        .iter()
        .map(|regions| Wave {
            stages: vec![
                stage_of(regions, &[Target::Regional, Target::Customer]),
                stage_of(regions, &[Target::ClusterVector, Target::ClusterProcessor]),
            ],
        })
        .collect();
    if let Some(first) = schedule.first_mut() {
        first.stages.insert(0, stage_of(std::slice::from_ref(home), &[Target::Global]));
    }
    for wave in &mut schedule {
        wave.stages.retain(|stage| !stage.is_empty());
    }
    schedule.retain(|wave| !wave.stages.is_empty());
    schedule
}

/// Reads waves as `--waves` gives them: waves are separated by `;`, the regions of one by `,`.
///
/// # Errors
/// A sentence that names what is wrong.
pub fn waves(text: &str) -> Result<Vec<Vec<Region>>, String> {
    let mut seen: Vec<Region> = Vec::new();
    let mut waves = Vec::new();
    for part in text.split(';') {
        let mut wave = Vec::new();
        for word in part.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let region: Region = word.parse().map_err(|error| format!("{error}"))?;
            if seen.contains(&region) {
                return Err(format!("`{region}` is in it twice"));
            }
            seen.push(region.clone());
            wave.push(region);
        }
        if wave.is_empty() {
            return Err(format!(
                "`{text}` holds an empty wave: it looks like \"us-east-2; us-west-2,eu-west-1\""
            ));
        }
        waves.push(wave);
    }
    Ok(waves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(targets: &[Target], text: &str) -> String {
        let home = "us-east-1".parse().unwrap();
        let unit = |unit: &Unit| format!("{}@{}", unit.target, unit.region);
        let stage = |stage: &Stage| stage.iter().map(unit).collect::<Vec<_>>().join(" ");
        schedule(targets, &home, &waves(text).unwrap())
            .iter()
            .map(|wave| wave.stages.iter().map(stage).collect::<Vec<_>>().join(" > "))
            .collect::<Vec<_>>()
            .join(" | ")
    }

    #[test]
    fn what_depends_on_nothing_of_each_other_is_deployed_at_once() {
        use Target::{ClusterProcessor, ClusterVector, Customer, Global, Regional};
        assert_eq!(shown(&[Global], "us-east-2,eu-west-1"), "global@us-east-1");
        assert_eq!(
            shown(
                &[Global, Regional, ClusterVector, ClusterProcessor],
                "us-east-2; eu-west-1,eu-west-2"
            ),
            "global@us-east-1 > regional@us-east-2 > cluster/vector@us-east-2 cluster/processor@us-east-2 | \
             regional@eu-west-1 regional@eu-west-2 > cluster/vector@eu-west-1 cluster/processor@eu-west-1 \
             cluster/vector@eu-west-2 cluster/processor@eu-west-2"
        );
        assert_eq!(
            shown(&[Regional, Customer], "us-east-2"),
            "regional@us-east-2 customer@us-east-2"
        );
    }

    #[test]
    fn waves_that_cannot_be_meant_are_named() {
        for (text, part) in
            [("us-east-2;;eu-west-1", "empty wave"), ("us-east-2,us-east-2", "twice"), ("x", "`x`")]
        {
            let error = waves(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
