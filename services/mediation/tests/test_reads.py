"""Lists: filters, text search, and pages that neither skip nor repeat."""

from __future__ import annotations

from typing import Any

import pytest

from protos.mediation.v1 import mediation_pb2 as pb
from services.chassis import paging
from services.chassis.refusal import Invalid
from services.mediation.application.queries import Wanted
from services.mediation.tests.centre import Centre, a_request


def pages(centre: Centre, size: int, **filters: Any) -> list[list[str]]:
    """The ids on each page until the last."""
    found, token = [], ""
    while True:
        request = pb.ListMediationsRequest(page_size=size, page_token=token, **filters)
        page = centre.call("ListMediations", request)
        found.append([m.id for m in page.mediations])
        token = page.next_page_token
        if not token:
            return found


class TestPages:
    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    def test_over_equal_times_they_never_skip_or_repeat(self, centre: Centre, size: int):
        # One transaction has one time; two of them give two groups of equal times.
        centre.hear(*(a_request() for _ in range(4)))
        centre.hear(*(a_request() for _ in range(3)))
        listed = centre.find()
        assert len({m.applied_at.ToDatetime() for m in listed}) == 2
        assert [m.applied_at.ToNanoseconds() for m in listed] == sorted(
            (m.applied_at.ToNanoseconds() for m in listed), reverse=True
        )
        found = pages(centre, size)
        assert [m for page in found for m in page] == [m.id for m in listed]
        assert {len(page) for page in found[:-1]} <= {size}
        assert found[-1]

    def test_what_arrives_between_two_pages_moves_nothing(self, centre: Centre):
        centre.hear(*(a_request() for _ in range(4)))
        before = [m.id for m in centre.find()]
        first = centre.call("ListMediations", pb.ListMediationsRequest(page_size=2))
        centre.open()
        rest = centre.call("ListMediations", pb.ListMediationsRequest(page_size=2, page_token=first.next_page_token))
        assert [m.id for m in (*first.mediations, *rest.mediations)] == before

    def test_a_token_belongs_to_its_filters(self, centre: Centre):
        centre.hear(*(a_request() for _ in range(3)))
        token = centre.call("ListMediations", pb.ListMediationsRequest(page_size=1)).next_page_token
        with pytest.raises(Invalid) as wrong:
            centre.find(page_token=token, text="界址")
        assert wrong.value.violations[0].field == "page_token"

    def test_a_forged_token_is_the_callers_mistake(self, centre: Centre):
        for position in ((), ("x",), ("2026-01-01", "m"), ("x", "m"), ("2026-01-01T00:00:00+00:00", "\x00")):
            with pytest.raises(Invalid) as wrong:
                centre.find(page_token=paging.encode_token(position, Wanted().fingerprint()))
            assert wrong.value.violations[0].field == "page_token", position

    @pytest.mark.parametrize("position", [(), ("x",), ("1", "2")])
    def test_a_forged_token_of_the_timeline_too(self, centre: Centre, position: tuple[str, ...]):
        opened = centre.open()
        token = paging.encode_token(position, f"timeline {opened.id}")
        with pytest.raises(Invalid):
            centre.call("ListMediationTimeline", pb.ListMediationTimelineRequest(id=opened.id, page_token=token))

    def test_a_number_beyond_any_timeline_ends_it(self, centre: Centre):
        opened = centre.open()
        token = paging.encode_token(("9" * 30,), f"timeline {opened.id}")
        request = pb.ListMediationTimelineRequest(id=opened.id, page_token=token)
        assert list(centre.call("ListMediationTimeline", request).entries) == []

    def test_the_timeline_is_paged_oldest_first(self, centre: Centre):
        settled = centre.settle(centre.accept(centre.open()).id)
        kinds, token = [], ""
        for _ in range(9):
            request = pb.ListMediationTimelineRequest(id=settled.id, page_size=1, page_token=token)
            page = centre.call("ListMediationTimeline", request)
            kinds += [(entry.seq, entry.kind) for entry in page.entries]
            token = page.next_page_token
            if not token:
                break
        names = ["mediation.applied", "mediation.consent", "mediation.accepted", "mediation.settled"]
        assert kinds == list(enumerate(names, 1))


class TestFilters:
    def test_by_state(self, centre: Centre):
        opened, settled = centre.open(), centre.settle(centre.accept(centre.open()).id)
        assert [m.id for m in centre.find(states=[pb.MEDIATION_STATE_APPLIED])] == [opened.id]
        both = [pb.MEDIATION_STATE_SETTLED, pb.MEDIATION_STATE_APPLIED]
        assert [m.id for m in centre.find(states=both)] == [settled.id, opened.id]

    def test_by_division(self, centre: Centre):
        here = centre.open(division_code="341702102001")
        centre.open(division_code="341702103001")
        assert [m.id for m in centre.find(division_prefix="341702102")] == [here.id]

    def test_by_petition(self, centre: Centre):
        one = centre.open()
        centre.open()
        assert [m.id for m in centre.find(petition_id=one.petition_id)] == [one.id]


class TestSearch:
    def test_it_finds_what_subject_or_content_contains(self, centre: Centre):
        found = centre.open(content="邻居越界砌墙,见 MAP 7,请求依法处理。")
        centre.open(subject="拖欠工资", content="三个月未付")
        for text in ("界址", "宅基地", "砌墙", "越界砌墙", "法", "map 7"):
            assert [m.id for m in centre.find(text=text)] == [found.id], text

    def test_it_finds_nothing_else(self, centre: Centre):
        centre.open(content="邻居越界砌墙,请求依法处理。")
        for text in ("砌界", "址界", "地基宅", "%", "_", '"', "OR", "界址 AND 砌墙"):
            assert centre.find(text=text) == [], text

    def test_names_and_phones_in_the_text_cannot_be_probed(self, centre: Centre):
        centre.open()
        assert len(centre.find(text="138****1234")) == 1
        for text in ("王小明", "小明", "李大河", "13800001234", "3800001"):
            assert centre.find(text=text) == [], text

    def test_together_with_other_filters_and_pages_it_skips_nothing(self, centre: Centre):
        centre.hear(*(a_request(subject=("界址", "工资")[n % 2]) for n in range(7)))
        found = pages(centre, 2, text="界址", states=[pb.MEDIATION_STATE_APPLIED])
        assert [len(page) for page in found] == [2, 2]
        assert found == [[m.id for m in centre.find(text="界址")][n : n + 2] for n in (0, 2)]
