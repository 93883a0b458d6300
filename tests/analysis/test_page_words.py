from skiplab.analysis.page.page_words import page_words

_NOTHING = {"badge": "", "caveats": "", "sentence": ""}


def words(qualifiers: str = "", **said: str) -> list[str]:
    return [word for word, _ in page_words(qualifiers, [_NOTHING | said])]


def test_only_words_that_the_page_says_are_explained():
    assert words() == []
    assert words(badge="supported") == []
    assert words(badge="supported in 1 of 2 cells, not applicable in 1") == ["cell", "not applicable"]


def test_words_are_found_wherever_the_page_says_them():
    assert words("All verdicts: tuned per arm, 5 rates.") == ["tuned"]
    assert words(caveats="looks 2 to 3 of 5, at 5 to 10 seeds") == ["look"]
    assert words(sentence="plain networks collapsed at depth 16") == ["collapsed"]


def test_a_part_of_a_word_is_not_the_word():
    assert words(sentence="of the miscellaneous, overlooked") == []
