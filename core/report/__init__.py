"""Answers in words and as files: sentences, HTML, JSON and CSV.

The app words and writes answers by these names alone.
"""

from core.evidence import conclusion, outcomes, words
from core.evidence.answer_sets import score_gaps
from core.evidence.percents import Percents
from core.report.cases import Case, Run, attribute_command, case_of, run_of
from core.report.changes import account_csv, change_lines, template_csv
from core.report.comparison import (
    Names,
    comparison_csv,
    comparison_json,
    examples_csv,
    examples_json,
)
from core.report.objects import answer_object, report_json
from core.report.page import report_html, shown_groups
from core.report.pairs import Line, Pairs, Sought, pairs_html, reverse_run
from core.report.tables import csv_text, report_csv
from core.report.templates import environment, is_web_address
from core.report.trials import held, traced, trial_object, trials_csv

__all__ = [
    "Case",
    "Line",
    "Names",
    "Pairs",
    "Percents",
    "Run",
    "Sought",
    "account_csv",
    "answer_object",
    "attribute_command",
    "case_of",
    "change_lines",
    "comparison_csv",
    "comparison_json",
    "conclusion",
    "csv_text",
    "environment",
    "examples_csv",
    "examples_json",
    "held",
    "is_web_address",
    "outcomes",
    "pairs_html",
    "report_csv",
    "report_html",
    "report_json",
    "reverse_run",
    "run_of",
    "score_gaps",
    "shown_groups",
    "template_csv",
    "traced",
    "trial_object",
    "trials_csv",
    "words",
]
