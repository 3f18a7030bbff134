"""Tables of an evaluation, for terminals, Markdown and pages alike."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from speechduet.evaluation.comparison import PairedDifference
from speechduet.evaluation.scoring import Scores
from speechduet.evaluation.summary import Evaluation, Interval, summarise
from speechduet.names import markdown

_TITLES = {
    "pesq": "PESQ",
    "estoi": "ESTOI",
    "si_sdr": "SI-SDR (dB)",
    "si_sir": "SI-SIR (dB)",
    "si_sar": "SI-SAR (dB)",
    "stoi": "STOI",
    "lsd": "LSD (dB; less is better)",
    "wer": "WER (less is better)",
    "wer_corpus": "WER over all words (less is better)",
    "phoneme_similarity": "phoneme similarity",
    "pesq_nb": "PESQ, narrowband",
    "dnsmos_signal": "DNSMOS SIG",
    "dnsmos_background": "DNSMOS BAK",
    "dnsmos_overall": "DNSMOS OVRL",
}


class Table(NamedTuple):
    """Texts in rows under a header."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def to_markdown(self) -> str:
        """Lines of a Markdown table, the last one ended too."""
        head, *body = [
            f"| {' | '.join(markdown(cell) for cell in cells)} |"
            for cells in (self.header, *self.rows)
        ]
        return "\n".join([head, "|---" * len(self.header) + "|", *body]) + "\n"


def title(metric: str) -> str:
    """How a metric is written for readers."""
    return _TITLES.get(metric, metric)


def summary_table(evaluation: Evaluation) -> Table:
    """Mean and interval of each metric."""
    rows = []
    for name, interval in evaluation.summary().items():
        if interval is not None:
            mean, low, high = _numbers(interval, name)
            rows.append((title(name), mean, f"{low} to {high}", str(interval.n)))
    return Table(("metric", "mean", "95 % interval", "files"), rows)


def systems_table(systems: Mapping[str, Evaluation]) -> Table:
    """Means of several systems side by side, each with its interval."""
    return means_table(("system",), {(name,): one.files for name, one in systems.items()})


def means_table(heading: tuple[str, ...], groups: Mapping[tuple[str, ...], list[Scores]]) -> Table:
    """Means of groups of files, each with its interval unless it has a single file.

    Each group's label has a cell for each of the heading; a group without files is left out.
    """
    summaries = {label: summarise(files) for label, files in groups.items() if files}
    metrics = [
        metric
        for metric in dict.fromkeys(name for summary in summaries.values() for name in summary)
        if any(summary.get(metric) for summary in summaries.values())
    ]
    rows = [
        (
            *label,
            *(_mean_and_interval(summary.get(metric), metric) for metric in metrics),
            str(len(groups[label])),
        )
        for label, summary in summaries.items()
    ]
    return Table((*heading, *map(title, metrics), "files"), rows)


def comparison_table(compared: list[PairedDifference]) -> Table:
    """Differences of systems with their intervals and the test's p."""
    rows = [
        (
            title(pair.metric),
            f"{pair.system} − {pair.other}",
            f"{pair.difference.mean:+.3f}",
            f"{pair.difference.low:+.3f} to {pair.difference.high:+.3f}",
            f"{pair.p:.2g}",
            str(pair.difference.n),
        )
        for pair in compared
    ]
    return Table(
        ("metric", "systems", "mean difference", "95 % interval", "Wilcoxon p", "files"), rows
    )


def files_table(files: list[Scores]) -> Table:
    """Every score of every file; a dash where there is none."""
    metrics = list((files[0] if files else Scores("", 0, 0, 0)).by_metric())
    rows = [
        (
            scores.file,
            *("–" if value is None else f"{value:.3f}" for value in scores.by_metric().values()),
        )
        for scores in files
    ]
    return Table(("file", *map(title, metrics)), rows)


def heard_table(files: list[Scores]) -> Table:
    """The files with the most word errors, up to ten, and what was heard; empty if none has any."""
    rows = []
    for scores in files:
        rate, *texts = (
            scores.further.get(name) for name in ("wer", "words_clean", "words_enhanced")
        )
        if rate and None not in texts:
            rows.append((scores.file, f"{rate:.3f}", *map(str, texts)))
    rows.sort(key=lambda row: float(row[1]), reverse=True)
    return Table(("file", title("wer"), "heard in clean", "heard in enhanced"), rows[:10])


def _mean_and_interval(interval: Interval | None, metric: str) -> str:
    if interval is None:
        return "–"
    mean, low, high = _numbers(interval, metric)
    # The space in it does not break.
    return mean if interval.n == 1 else f"{mean} [{low},\N{NO-BREAK SPACE}{high}]"


def _numbers(interval: Interval, metric: str) -> list[str]:
    """Mean, low and high."""
    decimals = 2 if metric.startswith("si_") else 3
    return [f"{value:.{decimals}f}" for value in interval[:3]]
