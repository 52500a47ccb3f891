"""The tutor: grades a person's gradient formula, and says what is wrong with it.

A formula in matrix or index notation (`reading`) becomes index notation with axes (`meaning`), is compared with the gradient in the
checker's exact arithmetic (`judge`), and where it differs the tutor looks for the one change that makes it right (`changes`, `grade`).
"""

from derive.tutor.grade import Tutor, Verdict

__all__ = ["Tutor", "Verdict"]
