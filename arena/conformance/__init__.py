"""Whether a plugin keeps to docs/plugins.md, as one list of small checks for every kind.

With pytest::

    @conformance.parametrize(MyAttack())
    def test_conforms(check):
        check()

Without: ``conformance.report(conformance.check(MyAttack()))``.
"""

from arena.conformance.instances import examples
from arena.conformance.rules import Check, Result, Violation, run
from arena.conformance.suite import check, checks, counted, parametrize, reasoned, report

__all__ = [
    "Check",
    "Result",
    "Violation",
    "check",
    "checks",
    "counted",
    "examples",
    "parametrize",
    "reasoned",
    "report",
    "run",
]
