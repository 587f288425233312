"""A row of a register is read as the clerk who wrote it means it, and what is wrong with it is told in a sentence."""

from __future__ import annotations

from datetime import date

import pytest

from services.chassis.refusal import Invalid
from services.chassis.sheets import Cell, Row, heading_key
from services.petition.adapters.register_places import Places
from services.petition.adapters.register_rows import RowReader
from services.petition.domain import register_columns
from services.petition.domain.terms import Channel, Outcome, PetitionClass, Route, Satisfaction, State
from services.petition.tests.hall import TOWN, Hall

TODAY = date(2026, 11, 24)
GOOD: dict[str, Cell] = {
    "来访日期": "2021-03-05", "批次": 1, "人次": 3, "渠道": "走访", "姓名": "赵小满", "电话": "13800001234",
    "诉求": "请求依法确界。", "属地": TOWN,
}  # fmt: skip


@pytest.fixture
def read(hall: Hall):
    places = Places(hall.office.directory)

    def read(faults=None, **over):
        cells = GOOD | over
        headings = register_columns.understand(list(cells))
        reader = RowReader(headings, places, date1904=False, source_system="老系统", today=TODAY)
        return reader.read(Row(7, tuple(cells.values()), faults or {}))

    return read


@pytest.fixture
def refused(read):
    def refused(**over):
        with pytest.raises(Invalid) as told:
            read(**over)
        return told.value.zh

    return refused


class TestHeadings:
    def test_order_is_free_and_synonyms_and_english_names_are_understood(self):
        written = ["联系电话", "person_count", "反映内容", "信访渠道", "来访时间", "所属镇街", "来访人姓名"]
        found = register_columns.understand(written)
        assert sorted(found.places) == sorted(
            ["phone", "person_count", "content", "channel", "received_on", "division", "name"]
        )
        assert found.places["phone"] == 0

    def test_unknown_ones_are_named_and_notes_are_left_out(self):
        found = register_columns.understand([*GOOD, "星座", "备注", ""])
        assert (found.unknown, found.skipped) == (["星座"], ["备注"])

    def test_missing_ones_are_named_all_at_once(self):
        with pytest.raises(Invalid) as told:
            register_columns.understand(["电话", "批次"])
        assert "来访日期、渠道、姓名、属地、诉求(或概况)" in told.value.zh

    def test_two_columns_of_one_meaning_are_refused(self):
        with pytest.raises(Invalid) as told:
            register_columns.understand([*GOOD, "手机号"])
        assert "“电话”和“手机号”" in told.value.zh

    def test_every_official_heading_and_every_synonym_means_one_thing(self):
        words = [(word, c.field) for c in register_columns.COLUMNS for word in (c.zh, c.field, *c.synonyms)]
        assert all(register_columns.MEANINGS[heading_key(word)] == field for word, field in words)


class TestGoodRows:
    def test_a_row_becomes_a_registration(self, read):
        draft, standing = read()
        assert (draft.channel, draft.petition_class) == (Channel.VISIT, PetitionClass.CLAIM)
        assert (draft.received_on, draft.batch_no, draft.person_count) == (date(2021, 3, 5), "1", 3)
        assert (draft.representatives[0].name, draft.representatives[0].phone) == ("赵小满", "13800001234")
        # Without an outline the beginning of the matter stands for one.
        assert (draft.subject, draft.content) == ("请求依法确界。", "请求依法确界。")
        assert standing.state is State.REGISTERED

    @pytest.mark.parametrize("phone", [13800001234, 13800001234.0, " 13800001234 ", "138-0000-1234", "\uff11\uff13\uff18\uff10\uff10\uff10\uff10\uff11\uff12\uff13\uff14", "'+86 13800001234"])  # fmt: skip  # noqa: E501
    def test_a_phone_in_every_form(self, read, phone):
        assert read(电话=phone)[0].representatives[0].phone.replace("-", "")[-11:].endswith("13800001234")

    @pytest.mark.parametrize(("word", "channel"), [("来访", Channel.VISIT), ("来信", Channel.LETTER), ("来电", Channel.PHONE), ("网上信访", Channel.ONLINE), ("传真", Channel.FAX), ("CHANNEL_LETTER", Channel.LETTER), ("letter", Channel.LETTER)])  # fmt: skip  # noqa: E501
    def test_channels_by_what_people_say(self, read, word, channel):
        assert read(渠道=word)[0].channel is channel

    def test_several_persons_in_one_cell(self, read):
        names, phones = "赵小满、钱多多、孙三", "13800001111、、13800003333"
        found = read(姓名=names, 电话=phones, 人次=12)[0].representatives
        assert [(person.name, person.phone) for person in found] == [
            ("赵小满", "13800001111"), ("钱多多", ""), ("孙三", "13800003333"),
        ]  # fmt: skip

    def test_one_phone_of_several_persons_is_the_first_ones(self, read):
        found = read(姓名="赵小满;钱多多", 人次=2)[0].representatives
        assert [person.phone for person in found] == ["13800001234", ""]

    def test_anonymous_letters_have_nobody(self, read):
        assert read(姓名="匿名", 渠道="书信")[0].representatives == ()

    def test_units_by_code_by_name_and_without_the_districts_name(self, read):
        for written in ("341702-RSJ", "贵池区人力资源和社会保障局", "人力资源和社会保障局", "341702-RSJ 贵池区人社局"):
            assert read(承办单位=written)[1].responsible_unit == "341702-RSJ"

    def test_first_or_again_with_and_without_the_earlier_number(self, read):
        assert read(**{"初次/重复": "重复"})[0].repeated
        assert not read(**{"初次/重复": "初次"})[0].repeated
        number = "341702102000X210305A0001J"
        draft = read(**{"初次/重复": number})[0]
        assert (draft.repeated, draft.earlier_case_number) == (True, number)

    def test_the_source_system_of_the_file_holds_for_rows_with_a_number_of_their_own(self, read):
        draft = read(原系统编号="A-17")[0]
        assert (draft.external_no, draft.source_system) == ("A-17", "老系统")
        assert read(原系统编号="A-17", 来源系统="另一系统")[0].source_system == "另一系统"
        assert read()[0].source_system == ""

    def test_an_old_case_with_its_days_and_result(self, read):
        _, standing = read(
            受理日期="2021.3.8", 办结日期=44319, 处理结果="支持", 处理意见="已办结", 满意度="满意", 状态="已评价",
        )  # fmt: skip
        assert (standing.state, standing.accepted_on) == (State.EVALUATED, date(2021, 3, 8))
        assert (standing.concluded_on, standing.outcome) == (date(2021, 5, 3), Outcome.SUPPORTED)
        assert standing.satisfaction is Satisfaction.SATISFIED

    def test_without_a_state_the_days_say_it(self, read):
        assert read(受理日期="2021-03-08")[1].state is State.ACCEPTED
        assert read(办结日期="2021-03-08", 处理结果="支持")[1].state is State.CONCLUDED

    def test_a_refusal_with_its_lawful_route(self, read):
        _, standing = read(状态="不予受理", 受理日期="2021-03-08", 理由="属诉讼事项", 法定途径="诉讼")
        assert (standing.state, standing.route, standing.reason) == (State.DECLINED, Route.JUDICIAL, "属诉讼事项")


class TestPlaces:
    @pytest.mark.parametrize(
        "written",
        ["341702006206", "墩上街道双河村委会", "墩上街道双河村", "墩上双河", "墩上街道 双河", "贵池区墩上街道双河村",
         "安徽省池州市贵池区墩上街道双河村民委员会", "341702006206 墩上街道双河村委会", "341702006206.0"],
    )  # fmt: skip
    def test_a_village_in_every_way_in_which_it_is_written(self, read, written):
        cell = 341702006206.0 if written.endswith(".0") else written
        assert read(属地=cell)[0].division_code == "341702006206"

    def test_a_village_in_a_column_of_its_own(self, read):
        assert read(属地="墩上街道", 村社区="双河")[0].division_code == "341702006206"
        assert read(属地="341702006000", 村社区="双河")[0].division_code == "341702006206"

    @pytest.mark.parametrize("written", ["涓桥镇", "贵池区涓桥镇", "涓桥镇人民政府", "341702102000"])
    def test_a_town(self, read, written):
        assert read(属地=written)[0].division_code == TOWN

    def test_a_name_that_several_have_is_refused_with_each_of_them(self, refused):
        told = refused(属地="双河")
        assert "里山街道双河村委会" in told
        assert "墩上街道双河村委会" in told

    def test_a_name_that_nobody_has_is_refused_without_repeating_it(self, refused):
        told = refused(属地="赵家庄子村")
        assert "属地没有找到" in told
        assert "赵家庄" not in told

    def test_a_code_of_another_district_is_refused_by_the_directory_later(self, read):
        assert read(属地="110101001001")[0].division_code == "110101001001"


class TestBadRows:
    @pytest.mark.parametrize(
        ("over", "says"),
        [
            ({"来访日期": "昨天"}, "来访日期看不出是哪一天"),
            ({"来访日期": ""}, "来访日期必填"),
            ({"人次": "三"}, "人次应为整数"),
            ({"渠道": "飞鸽"}, "渠道请写其中之一:走访、书信"),
            ({"渠道": ""}, "渠道"),
            ({"电话": "12345"}, "电话"),
            ({"电话": "1.38E+10"}, "末几位已丢失"),
            ({"证件号码": 341702199001011234}, "末几位已丢失"),
            ({"诉求": ""}, "诉求"),
            ({"承办单位": "天文局"}, "承办单位:没有这个单位"),
            ({"领导接访": "也许"}, "领导接访请写"),
            ({"信访类别": "其他"}, "信访类别请写其中之一"),
            ({"姓名": "赵、钱", "电话": "13800001111、13800002222、13800003333"}, "电话有 3 个,姓名有 2 个"),
            ({"姓名": "一二、三四、五六、七八、九十、百千"}, "最多 5"),
            ({"处理意见": "长" * 20_001}, "处理意见最多 20000 个字"),
            ({"诉求": "长" * 20_001}, "最多 20000"),
            ({"概况": "一\x07二"}, "控制字符"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_each_mistake_has_its_sentence(self, refused, over, says):
        assert says in refused(**over)

    def test_all_mistakes_are_told_at_once_and_each_once(self, read):
        with pytest.raises(Invalid) as told:
            read(来访日期="昨天", 渠道="飞鸽", 属地="双河", 电话="x")
        assert sorted(one.field.rpartition(".")[2] for one in told.value.violations) == [
            "channel", "division", "phone", "received_on",
        ]  # fmt: skip

    def test_no_value_of_a_person_is_repeated(self, refused):
        told = refused(电话="13800001234567", 证件号码="341702199001011")
        assert "13800001234567" not in told

    def test_a_formula_without_result_and_an_error_are_named_by_their_heading(self, refused):
        assert "人次的公式没有计算结果" in refused(faults={2: "formula"}, 人次="")
        assert "电话是错误值" in refused(faults={5: "error"}, 电话="")
