//! A plan as text for people.

use std::fmt::Write;

use super::{Action, Change, Disruption, Plan, Reversal};

/// Renders the plan; `title` names a phase by its id. Ends with a newline.
pub(crate) fn text(plan: &Plan, title: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    if plan.is_empty() {
        out.push_str("Plan: 0 changes\n");
    } else {
        let count = plan.changes.len();
        let noun = if count == 1 { "change" } else { "changes" };
        let _ = writeln!(out, "Plan {}: {count} {noun}", plan.hash());
    }
    let width = plan.changes.iter().map(|change| change.target.to_string().len()).max().unwrap_or(0);
    let mut phase = "";
    for change in &plan.changes {
        if change.phase != phase {
            phase = change.phase;
            let _ = writeln!(out, "\n  {}", title(phase));
        }
        let _ = writeln!(out, "    {}", line(change, width));
    }
    if !plan.warnings.is_empty() {
        out.push_str("\n  Warnings\n");
        for warning in &plan.warnings {
            let _ = writeln!(out, "    ! {warning}");
        }
    }
    out
}

fn line(change: &Change, width: usize) -> String {
    let sign = match change.action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Restart => '*',
        Action::Remove => '-',
    };
    let mut line = format!("{sign} {:width$}  {}", change.target.to_string(), change.subject);
    if !change.fields.is_empty() {
        let _ = write!(line, " ({})", change.fields.join(", "));
    }
    match change.disruption {
        Disruption::None => {}
        Disruption::BrokerRestart => line.push_str(" [restarts Kafka]"),
        Disruption::WorkerRestart => line.push_str(" [restarts the worker]"),
        Disruption::ForeignService => line.push_str(" [stops a service that is not ours]"),
    }
    if let Reversal::Irreversible { reason } = &change.reversal {
        let _ = write!(line, " [cannot be taken back: {reason}]");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Target};
    use super::*;

    #[test]
    fn a_plan_names_phase_target_subject_fields_and_what_it_interrupts() {
        let plan = Plan {
            changes: vec![
                Change::create("topics", &Target::Cluster, "topic connect-configs"),
                Change::update("files", &Target::Cluster, "worker.properties", ["content"])
                    .disrupting(Disruption::WorkerRestart),
                Change::create("topics", &Target::Cluster, "x").irreversible("data"),
            ],
            warnings: vec!["careful".to_owned()],
        };
        let text = text(&plan, |id| id.to_uppercase());
        assert!(text.starts_with(&format!("Plan {}: 3 changes\n", plan.hash())), "{text}");
        assert!(text.contains("\n  TOPICS\n    + cluster  topic connect-configs\n"), "{text}");
        assert!(text.contains("~ cluster  worker.properties (content) [restarts the worker]\n"), "{text}");
        assert!(text.contains("+ cluster  x [cannot be taken back: data]\n"), "{text}");
        assert!(text.ends_with("\n  Warnings\n    ! careful\n"), "{text}");
    }

    #[test]
    fn an_empty_plan_says_so() {
        assert_eq!(text(&Plan::default(), str::to_owned), "Plan: 0 changes\n");
    }
}
