"""What can be said of a leaderboard without training anything.

Every term that a verification relies on is derived from the benchmark file and from the rows; what the provenance says
of them is only compared. What nothing can derive is named.
"""

from prunebench.verification.audit.terms import contradictions
from prunebench.verification.audit.whole import Audit, audit

__all__ = ["Audit", "audit", "contradictions"]
