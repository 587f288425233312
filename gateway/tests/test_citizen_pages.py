"""The citizens' pages and papers: nothing from elsewhere, no script but their own, and files come as files."""

from __future__ import annotations

import re

import pytest

from gateway import citizen_pages
from protos.files.v1.files_pb2 import Document

PAPERS = ["/v1/track:slip", "/v1/petitions/p-1:slip"]


@pytest.mark.parametrize("path", citizen_pages.FILES)
def test_a_page_is_open_and_keeps_scripts_of_others_out(gateway, path):
    answer = gateway.client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.content_type.startswith("text/")


@pytest.mark.parametrize("path", ["/track", "/file"])
def test_a_page_loads_only_files_of_the_gateways_own_and_holds_no_script_or_style_itself(gateway, path):
    page = gateway.client.get(path).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {one for one in loaded if "." in one} <= set(citizen_pages.FILES)
    assert not re.search(r"https?://|\son\w+=|<style|style=|<script(?![^>]*src=)", page)
    assert 'lang="zh-CN"' in page


@pytest.mark.parametrize("path", ["/track", "/file"])
def test_every_field_has_its_label(gateway, path):
    page = gateway.client.get(path).text
    fields = re.findall(r'<(?:input|select|textarea)[^>]*\bid="([^"]+)"', page)
    labelled = set(re.findall(r'<label[^>]*\bfor="([^"]+)"', page)) | set(
        re.findall(r'<label[^>]*>\s*<input[^>]*\bid="([^"]+)"', page)
    )
    assert set(fields) <= labelled


def test_the_code_is_kept_nowhere_by_the_script(gateway):
    for name in ("/track/track.js", "/file/file.js"):
        script = gateway.client.get(name).text
        assert not re.search(r"localStorage|sessionStorage|document\.cookie|innerHTML|console\.|eval\(", script)


@pytest.mark.parametrize("path", PAPERS)
def test_a_paper_comes_as_the_file_that_it_is(gateway, path):
    paper = Document(content_type="application/pdf", filename="slip-1 回执.pdf", data=b"%PDF-1.4")
    gateway.services.answers.update(TrackSlip=lambda _: paper, PrintSlip=lambda _: paper)
    answer = gateway.call("POST", path, json={"public_code": "x"})
    assert (answer.status_code, answer.content_type, answer.data) == (200, "application/pdf", b"%PDF-1.4")
    assert answer.headers["Content-Disposition"].startswith('inline; filename="slip-1___.pdf"; filename*=UTF-8')
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_paper_of_another_kind_is_for_download_only(gateway):
    odd = Document(content_type="text/javascript", filename='a"\r\nb.js', data=b"alert(1)")
    gateway.services.answers["PrintSlip"] = lambda _: odd
    answer = gateway.call("POST", PAPERS[1], json={})
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="a___b.js"')


@pytest.mark.parametrize("path", ["/v1/track:slip", "/v1/petitions/{id}:slip"])
def test_the_document_says_which_files_come(gateway, path):
    content = gateway.client.get("/openapi.json").json["paths"][path]["post"]["responses"]["200"]["content"]
    assert set(content) == {"text/html", "application/pdf", "application/octet-stream"}
