"""What a text says, whatever its words."""


def assert_states(text: str, *facts: str) -> None:
    """The facts stand in the text, in this order; no-break spaces count as spaces."""
    text = text.replace("\u00a0", " ")
    position = 0
    for fact in facts:
        fact = fact.replace("\u00a0", " ")
        position = text.find(fact, position) + len(fact)
        assert position >= len(fact), (fact, text)
