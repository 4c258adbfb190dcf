"""The systems that answer the test questions."""

from enum import StrEnum

from potstill.tasks import Prompting


class Role(StrEnum):
    """The model of a system: the student before training, after training, or the teacher."""

    BASE = "base"
    STUDENT = "student"
    TEACHER = "teacher"


class System(StrEnum):
    """A model in a role, and how it is prompted: what answers the test questions."""

    BASE = "base"
    BASE_FEWSHOT = "base-fewshot"
    BASE_COT = "base-cot"
    STUDENT = "student"
    STUDENT_COT = "student-cot"
    TEACHER_PLAIN = "teacher-plain"
    TEACHER_DIRECT = "teacher-direct"
    TEACHER_DIRECT_FEWSHOT = "teacher-direct-fewshot"
    TEACHER_COT = "teacher-cot"
    TEACHER_COT_FEWSHOT = "teacher-cot-fewshot"
    TEACHER_COD = "teacher-cod"
    TEACHER_COD_FEWSHOT = "teacher-cod-fewshot"

    @property
    def role(self) -> Role:
        return Role(self.value.partition("-")[0])

    @property
    def prompting(self) -> Prompting:
        return Prompting(self.value.partition("-")[2] or "plain")
