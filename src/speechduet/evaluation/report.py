"""A report of one or several systems: sections of tables, as Markdown and as plain values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from speechduet.evaluation.comparison import compare
from speechduet.evaluation.conditions import Manifest, by_noise, by_snr
from speechduet.evaluation.pairing import ScoredPair
from speechduet.evaluation.scoring import METRICS, Scores
from speechduet.evaluation.summary import Evaluation, summarise, summary_to_json
from speechduet.evaluation.tables import (
    Table,
    comparison_table,
    files_table,
    heard_table,
    means_table,
    summary_table,
    systems_table,
)
from speechduet.names import markdown

NOISY = "noisy input"
"""The name of the input itself among the systems of a report."""

_CONDITIONS = {"snr_db": "input SNR", "noise": "noise"}


class Section(NamedTuple):
    """A heading, a sentence on how to read what follows, and a table."""

    heading: str
    text: str
    table: Table


@dataclass(frozen=True)
class Report:
    """What was measured of one or several systems, by their names, and on which recordings.

    Where a single system stands for all, in the examples and at the top of the JSON, it is the
    first.
    """

    systems: Mapping[str, Evaluation]
    pairs: Mapping[str, Mapping[str, ScoredPair]]
    """Of every system, by the names of files."""
    manifest: Manifest | None = None
    noisy: Evaluation | None = None
    """Of the noisy input itself, to stand beside the systems in tables and figures."""

    def rows(self) -> dict[str, Evaluation]:
        """The systems, and the noisy input below them."""
        return {**self.systems, **({NOISY: self.noisy} if self.noisy is not None else {})}

    def to_json(self) -> dict[str, Any]:
        """The first system's summary, files and failures; then all systems, where several are.

        With a manifest, ``groups`` holds summaries by ``snr_db`` and by ``noise``.
        """
        systems = {name: self._system_to_json(one) for name, one in self.systems.items()}
        whole = dict(next(iter(systems.values())))
        if len(systems) > 1:
            whole["systems"] = systems
            whole["comparison"] = [pair.to_json() for pair in compare(self.systems)]
        return whole

    def overview(self) -> list[Section]:
        """Means, comparison and breakdown: what fits a terminal."""
        text = "Means over files with 95 % bootstrap intervals."
        rows = self.rows()
        alone = len(rows) == 1
        means = summary_table(next(iter(rows.values()))) if alone else systems_table(rows)
        sections = [Section("Summary", text, means)]
        if not alone:
            text = (
                "Paired over the files that both systems have. p is that of one two-sided "
                "signed-rank test; among many of them, some are small by chance."
            )
            sections.append(Section("Comparison", text, comparison_table(compare(rows))))
        for condition, groups in self.groups().items():
            sections.append(
                Section(f"By {_CONDITIONS[condition]}", "", self._by(condition, groups))
            )
        return sections

    def terminal(self) -> str:
        """The overview in Markdown; of one system and nothing else, its table alone."""
        sections = self.overview()
        if len(sections) == 1:
            return sections[0].table.to_markdown()
        return "\n".join(_markdown(section) for section in sections)

    def columns(self) -> list[str]:
        """The names of all that is known of each file."""
        files = [scores for evaluation in self.systems.values() for scores in evaluation.files]
        return list(files[0].row()) if files else list(METRICS)

    def details(self) -> Iterator[Section]:
        """The best and the worst files, what was heard in them, and all files."""
        for name, evaluation in self.systems.items():
            ranked = evaluation.ranked()
            extremes = ranked if len(ranked) <= 6 else [*ranked[:3], *ranked[-3:]]
            yield Section(f"Best and worst{self._of(name)}", "By PESQ.", files_table(extremes))
        for name, evaluation in self.systems.items():
            if (heard := heard_table(evaluation.files)).rows:
                text = "By word error rate; at most ten files."
                yield Section(f"Most word errors{self._of(name)}", text, heard)
        for name, evaluation in self.systems.items():
            yield Section(f"All files{self._of(name)}", "", files_table(evaluation.files))

    def failures(self) -> list[str]:
        """A line for every file that could not be scored."""
        named = [
            ("" if len(self.systems) == 1 and name != NOISY else f"{name}: ", evaluation)
            for name, evaluation in self.rows().items()
        ]
        return [
            f"{prefix}{unscored.file}: {unscored.error}"
            for prefix, evaluation in named
            for unscored in evaluation.failed
        ]

    def examples(self) -> dict[str, Scores]:
        """The best, the median and the worst file by PESQ, of the first system that has any."""
        ranked = next((one.ranked() for one in self.systems.values() if one.files), [])
        if not ranked:
            return {}
        # Of few files one may be two of these: the later name holds, and there are fewer.
        places = {len(ranked) // 2: "Median", len(ranked) - 1: "Worst", 0: "Best"}
        return {places[place]: ranked[place] for place in sorted(places)}

    def groups(self) -> dict[str, dict[str, list[str]]]:
        """Names of files by ``snr_db`` and by ``noise``, as far as the manifest states these."""
        if self.manifest is None:
            return {}
        # A file that one system lacks may be the other's: the groups are the same for all.
        files = dict.fromkeys(
            scores.file for evaluation in self.systems.values() for scores in evaluation.files
        )
        found = {"snr_db": by_snr(files, self.manifest), "noise": by_noise(files, self.manifest)}
        return {condition: labelled for condition, labelled in found.items() if labelled}

    def _by(self, condition: str, groups: dict[str, list[str]]) -> Table:
        rows = self.rows()
        several = len(rows) > 1
        heading = (_CONDITIONS[condition], *(["system"] if several else []))
        return means_table(
            heading,
            {
                (label, *([name] if several else [])): evaluation.among(names)
                for label, names in groups.items()
                for name, evaluation in rows.items()
            },
        )

    def _system_to_json(self, evaluation: Evaluation) -> dict[str, Any]:
        groups = {
            condition: {
                label: summary_to_json(summarise(files))
                for label, names in labelled.items()
                if (files := evaluation.among(names))
            }
            for condition, labelled in self.groups().items()
        }
        return evaluation.to_json() | ({"groups": groups} if groups else {})

    def _of(self, name: str) -> str:
        return f": {name}" if len(self.systems) > 1 else ""


def to_markdown(report: Report) -> str:
    """All tables, and what failed."""
    parts = ["# Evaluation\n"]
    for section in (*report.overview(), *report.details()):
        parts.append(_markdown(section))
    if failures := report.failures():
        lines = "".join(f"- {markdown(failure)}\n" for failure in failures)
        parts.append(f"## Failed, and not in the means\n\n{lines}")
    return "\n".join(parts)


def _markdown(section: Section) -> str:
    text = f"{section.text}\n\n" if section.text else ""
    return f"## {markdown(section.heading)}\n\n{text}{section.table.to_markdown()}"
