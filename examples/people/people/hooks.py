"""What is done with records before and after they are validated."""

from synapse_flow import BaseHook


class Normalise(BaseHook):
    """Before the validation: takes spaces off the ends, and writes e-mail addresses in lower case."""

    def execute(self, entries, store):
        for entry in entries:
            raw = entry["raw_data"]
            for column, text in raw.items():
                if isinstance(text, str):
                    raw[column] = text.strip()
            raw["email"] = raw["email"].lower()
        return entries


class AddAgeGroup(BaseHook):
    """After the validation: fills in the field that the input has no column for.

    Args:
        adult: The age from which somebody is grown up.
    """

    def __init__(self, adult: int = 18) -> None:
        super().__init__()
        self.adult = adult

    def execute(self, entries, store):
        for entry in entries:
            person = entry["validated_data"]
            person["group"] = "adult" if person["age"] >= self.adult else "minor"
        return entries
