"""The live preview: what it says is what the expression of a run says, before and after each change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ccexport.errors import SourceError
from ccexport.preparation.files import values_of
from ccexport.preparation.mapping import FieldMapping, parse_mapping
from ccexport.preparation.prepare import prepare
from ccexport.preparation.samples import Sample
from ccexport.segments.source import open_source
from ccexport.services.preview.live_preview import LivePreview, source_version
from ccexport.services.preview.preview_values import How, Pick, Question, Usable
from tests.kit.house import write_source
from tests.preparation.counting import counts_of_a_run

PEOPLE = [
    {"CustomerId": "1", "EMail": "ana@example.com", "Name": "Ana", "Phone": "1"},
    {"CustomerId": "2", "EMail": " ANA@example.com", "Name": 'Ann "A", Lee', "Phone": "2"},
    {"CustomerId": "3", "EMail": "", "Name": "Bo", "Phone": "3"},
    {"CustomerId": "4", "EMail": "no address", "Name": "Cy", "Phone": "4"},
    {"CustomerId": "5", "EMail": "dee@example.com", "Name": "D" * 60, "Phone": "5"},
    {"CustomerId": "6", "EMail": "eve@example.com", "Name": "Eve", "Phone": "6" * 30},
    {"CustomerId": "7", "EMail": f"{'f' * 50}@example.com", "Name": "Fay", "Phone": ""},
    {"CustomerId": "8", "EMail": f"{'g' * 90}@example.com", "Name": "Gus", "Phone": ""},
    {"CustomerId": "9", "EMail": "ana@example.com", "Name": "Outsider", "Phone": ""},
]
MEMBERSHIPS = [
    *((person["CustomerId"], "All") for person in PEOPLE[:8]),
    ("1", "Few"),
    ("3", "Few"),
    ("gone", "Few"),
]
EMAIL = parse_mapping(["email=EMail"])
NAMES = parse_mapping(["email=EMail", "first_name=Name"])
ALL = parse_mapping(["email=EMail", "first_name=Name", "phone=Phone", "city==Rome"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source", PEOPLE, MEMBERSHIPS)


@pytest.fixture
def preview(folder: Path) -> Iterator[LivePreview]:
    made = preview_of(folder)
    yield made
    made.close()


def preview_of(folder: Path) -> LivePreview:
    url = f"file:{folder}"
    return LivePreview(lambda: open_source(url), lambda: source_version(url))


Told = tuple[dict[str, str] | None, str | None, str | None]


def as_a_run(folder: Path, question: Question) -> dict[str, Told]:
    """What a run makes of each profile: (what is sent, why it is not, the key that is sent instead)."""
    with open_source(f"file:{folder}") as source:
        found = prepare(source, question.segments, question.mapping, dict(question.types))
    contacts = found.contacts.take(0, len(found.contacts)).to_pylist()
    fields = question.mapping.fields
    sent: dict[str, Told] = {}
    for row in contacts:
        values = zip(fields, values_of(row["line"]), strict=True)
        sent[row["customer_id"]] = ({field: value for field, value in values if value}, None, None)
    return sent | {
        row["customer_id"]: (None, row["reason"], row["sent_instead"])
        for row in found.rejections.to_pylist()
    }


def told(sample: Sample) -> Told:
    reason = ": ".join(filter(None, (sample.rejection, sample.rejected_field))) or None
    return (None if reason else dict(sample.contact), reason, sample.sent_instead)


@pytest.mark.parametrize("segments", [("All",), ("Few",), ("All", "Few"), ("No such",)])
@pytest.mark.parametrize("mapping", [EMAIL, NAMES, ALL])
def test_live_preview_counts_the_whole_as_a_run_does(
    preview: LivePreview, folder: Path, segments: tuple[str, ...], mapping: FieldMapping
) -> None:
    whole = preview.count(Question(segments, mapping)).result()
    with open_source(f"file:{folder}") as source:
        run = counts_of_a_run(prepare(source, segments, mapping), mapping.fields)
    assert (whole.read, whole.rejected, whole.prepared) == (run.read, run.rejected, run.prepared)
    assert whole.rejections == run.rejections
    assert (whole.truncated, whole.files, whole.bytes) == (run.truncated, run.files, run.bytes)


@pytest.mark.parametrize("mapping", [EMAIL, NAMES, ALL])
def test_live_preview_shows_profiles_as_a_run_would_send_them(
    preview: LivePreview, folder: Path, mapping: FieldMapping
) -> None:
    question = Question(("All",), mapping)
    preview.count(question).result()
    glance = preview.glance(question, Pick(How.FIRST, 100), masked=False)
    assert glance is not None
    assert glance.is_settled
    shown = {found.sample.customer_id: told(found.sample) for found in glance.samples}
    assert shown == as_a_run(folder, question)
    assert [found.profile["EMail"] for found in glance.samples] == [
        person["EMail"] or None for person in PEOPLE[:8]
    ]


def test_live_preview_follows_a_change_of_the_mapping_before_the_whole_is_counted(
    preview: LivePreview,
) -> None:
    preview.glance(Question(("All",), EMAIL), Pick(), masked=False)
    glance = preview.glance(Question(("All",), NAMES), Pick(count=1), masked=False)
    assert glance is not None
    assert not glance.is_settled
    assert glance.samples[0].sample.contact == {"email": "ana@example.com", "first_name": "Ana"}


def test_live_preview_knows_a_duplicate_whose_winner_is_not_among_the_profiles_shown(
    preview: LivePreview,
) -> None:
    question, second = Question(("All",), EMAIL), Pick(How.KEY, key="2")
    before = preview.glance(question, second, masked=False)
    assert before is not None
    assert not before.is_settled
    preview.count(question).result()
    after = preview.glance(question, second, masked=False)
    assert after is not None
    assert [found.sample.sent_instead for found in after.samples] == ["1"]


def test_live_preview_keeps_known_duplicates_while_a_change_leaves_nobody_out(
    preview: LivePreview,
) -> None:
    preview.count(Question(("All",), EMAIL)).result()
    second = Pick(How.KEY, key="2")
    named = preview.glance(Question(("All",), NAMES), second, masked=False)
    assert named is not None
    assert named.is_settled
    assert named.samples[0].sample.rejection == "duplicate"
    with_phone = preview.glance(Question(("All",), ALL), second, masked=False)
    assert with_phone is not None
    assert not with_phone.is_settled  # a phone can leave the winner out


def test_live_preview_shows_troubled_profiles_each_kind_in_its_turn(preview: LivePreview) -> None:
    question, troubled = Question(("All",), ALL), Pick(How.TROUBLED, 6)
    assert preview.glance(question, troubled, masked=False) is None
    preview.count(question).result()
    glance = preview.glance(question, troubled, masked=False)
    assert glance is not None
    assert [(each.sample.customer_id, each.sample.rejection) for each in glance.samples] == [
        ("3", "missing_email"),
        ("4", "invalid_email"),
        ("8", "email_too_long"),
        ("2", "duplicate"),
        ("6", "value_too_long"),
        ("5", None),
    ]


@pytest.mark.parametrize("key", ["9", "gone", "", "no such", "' OR 1=1 --"])
def test_live_preview_by_key_finds_members_of_the_segments_alone(
    preview: LivePreview, key: str
) -> None:
    glance = preview.glance(Question(("All",), EMAIL), Pick(How.KEY, key=key), masked=False)
    assert glance is not None
    assert glance.samples == ()


def test_live_preview_random_profiles_are_the_same_until_others_are_asked_for(
    tmp_path: Path,
) -> None:
    people = [{"CustomerId": f"{n:03}", "EMail": f"p{n}@example.com"} for n in range(200)]
    preview = preview_of(write_source(tmp_path / "many", people))
    question = Question(("All",), EMAIL)

    def keys(seed: int) -> list[str]:
        glance = preview.glance(question, Pick(How.RANDOM, 5, seed), masked=False)
        assert glance is not None
        return [found.sample.customer_id for found in glance.samples]

    assert keys(0) == keys(0)
    assert len({tuple(keys(seed)) for seed in range(4)}) > 1
    preview.close()


def test_live_preview_names_examples_of_a_reason_with_their_values(preview: LivePreview) -> None:
    whole = preview.count(Question(("All",), NAMES)).result()
    [found] = preview.examples(whole, whole.keys("duplicate", 10), masked=False)
    assert found.sample.sent_instead == "1"
    assert found.profile == {"EMail": " ANA@example.com", "Name": 'Ann "A", Lee'}
    [cut] = preview.examples(whole, whole.keys(None, 10), masked=False)
    assert (cut.sample.customer_id, cut.sample.rejection) == ("5", None)


def test_live_preview_counts_files_by_bytes_as_the_files_are_cut(tmp_path: Path) -> None:
    rows = 70_000
    numbers = range(rows)
    text = {
        "CustomerId": [f"{n:06}" for n in numbers],
        "EMail": [f"p{n}{'x' * 45 if n % 50 == 0 else ''}@example.com" for n in numbers],
        "Name": [f"Lê {n}, “the” {'n' * (n % 37)}" for n in numbers],
        "Street": [f"{'s' * (n % 200)} {n}" for n in numbers],
    }
    write_parquet(tmp_path / "wide", text)
    mapping = parse_mapping(["email=EMail", "first_name=Name", "street=Street"])
    preview = preview_of(tmp_path / "wide")
    whole = preview.count(Question(("All",), mapping)).result()
    preview.close()
    with open_source(f"file:{tmp_path / 'wide'}") as source:
        run = counts_of_a_run(prepare(source, ["All"], mapping), mapping.fields)
    assert (whole.files, whole.bytes) == (run.files, run.bytes)
    assert whole.files > 3
    assert whole.requests == 2 + run.files + 2


def write_parquet(folder: Path, columns: dict[str, list[str]]) -> None:
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "Customer.parquet")
    memberships = {"CustomerId": columns["CustomerId"], "Segment": ["All"] * len(columns["EMail"])}
    pq.write_table(pa.table(memberships), folder / "SegmentMembership.parquet")


def test_live_preview_reads_anew_when_the_source_has_changed(
    preview: LivePreview, folder: Path
) -> None:
    question = Question(("All",), EMAIL)
    assert preview.count(question).result().read == 8
    shutil.rmtree(folder)
    write_source(folder, PEOPLE[:1])
    assert preview.count(question).result().read == 1
    assert [segment.members for segment in preview.segments()] == [1]


def test_live_preview_says_that_the_source_is_gone_and_goes_on_when_it_is_back(
    preview: LivePreview, folder: Path
) -> None:
    preview.segments()
    shutil.rmtree(folder)
    with pytest.raises(SourceError, match="does not exist"):
        preview.glance(Question(("All",), EMAIL), Pick(), masked=False)
    write_source(folder, PEOPLE)
    assert len(preview.segments()) == 1


def test_live_preview_raises_what_is_wrong_with_the_source_from_the_count_too(
    tmp_path: Path,
) -> None:
    twice = [PEOPLE[0], {**PEOPLE[4], "CustomerId": "1"}]
    preview = preview_of(write_source(tmp_path / "twice", twice, [("1", "All")]))
    with pytest.raises(SourceError, match="more than one profile"):
        preview.count(Question(("All",), EMAIL)).result()
    preview.close()


def test_live_preview_counts_usable_addresses_of_all_segments_at_once(preview: LivePreview) -> None:
    assert preview.usable().result() == {"All": Usable(8, 5), "Few": Usable(2, 1)}


def test_live_preview_counts_nothing_usable_where_no_attribute_is_named_like_an_address(
    tmp_path: Path,
) -> None:
    preview = preview_of(write_source(tmp_path / "bare", [{"CustomerId": "1", "X": "y"}]))
    assert preview.usable().result() == {}
    preview.close()


def test_live_preview_masks_the_sample_of_a_segment(preview: LivePreview) -> None:
    rows = preview.masked_sample("Few", 5)
    assert [row["CustomerId"] for row in rows] == ["1", "3"]
    assert rows[0]["Name"] == "A••"
    assert "ana" not in str(rows)


def test_live_preview_answers_many_at_once_as_it_answers_one(
    preview: LivePreview, folder: Path
) -> None:
    questions = [Question(("All",), mapping) for mapping in (EMAIL, NAMES, ALL)] * 6

    def ask(question: Question) -> tuple[int, dict[str, Told]]:
        whole = preview.count(question).result()
        glance = preview.glance(question, Pick(count=100), masked=False)
        assert glance is not None
        return whole.prepared, {
            each.sample.customer_id: told(each.sample) for each in glance.samples
        }

    with ThreadPoolExecutor(6) as many:
        answers = list(many.map(ask, questions))
    for question, (prepared, samples) in zip(questions, answers, strict=True):
        expected = as_a_run(folder, question)
        assert samples == expected
        assert prepared == sum(reason is None for _, reason, _ in expected.values())
