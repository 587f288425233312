"""The entries of the API document for /v1/session and /v1/token, which no proto declares."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
_JSON = "application/json"
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
_REFUSED = (400, 401, 403, 413, 414, 415, 429, 431, 503)


def paths(problem_statuses: frozenset[int]) -> dict[str, Any]:
    """Path → method → operation."""

    def operation(name: str, zh: str, en: str, reply: Schema, body: Schema | None = None, **more: Any) -> Schema:
        shown = {
            "operationId": name, "tags": ["Gateway"], "summary": f"{zh} {name}", "description": en, "parameters": [],
            "responses": {"200": {"description": "成功 OK", "content": {_JSON: {"schema": reply}}}},
        } | more  # fmt: skip
        for status in (*_REFUSED, 404) if name in ("signIn", "switchPost") else _REFUSED:
            if status in problem_statuses:
                shown["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        if body is not None:
            example = body.pop("example")
            required = bool(body.get("required"))
            shown["requestBody"] = {"required": required, "content": {_JSON: {"schema": body, "example": example}}}
        return shown

    csrf = [{"name": "X-CSRF-Token", "in": "header", "required": False, "schema": {"type": "string"},
             "description": "由 Cookie 登录的浏览器每次更改都要带上。 Sent with every change by a browser with cookies."}]  # fmt: skip
    told, opened = _told(), _opened()
    return {
        "/v1/session": {
            "post": operation(
                "signIn", "登录",
                "Signs in with account and password, in a post where the account has several. Ten failures lock the "
                "account for 15 minutes. With `cookie` the tokens are set as HttpOnly cookies, and the answer holds "
                "`csrf_token` instead, to be sent in X-CSRF-Token with every change.",
                opened, _sign_in(), security=[],
            ),
            "get": operation("getSession", "我是谁", "Account, posts, roles and permissions of the caller.", told),
            "delete": operation("signOut", "退出登录", "Ends this session.", _ended(), parameters=csrf),
        },
        "/v1/session:refresh": {
            "post": operation(
                "refreshSession", "续期",
                "Goes on with the session: a new access token and a new refresh token. Each refresh token is used "
                "once; a second use ends the session. A browser sends no body, only its cookies and X-CSRF-Token.",
                opened, _body({"refresh_token": "续期令牌"}, ()), security=[], parameters=csrf,
            )
        },
        "/v1/session:revokeAll": {
            "post": operation(
                "revokeSessions", "全部退出", "Ends every session of the account.", _ended(), _body({}, ()),
                parameters=csrf,
            )
        },
        "/v1/session:changePassword": {
            "post": operation(
                "changePassword", "修改密码",
                "Chooses a new password of at least 12 characters; all other sessions end. The only thing that can be "
                "done after signing in with a one-time password.",
                told, _body({"password": "当前密码", "new_password": "新密码"}), parameters=csrf,
            )
        },
        "/v1/session:switchPost": {
            "post": operation(
                "switchPost", "切换任职", "Acts in another post of the account from now on.", told,
                _body({"post": "任职代码"}), parameters=csrf,
            )
        },
        "/v1/token": {
            "post": operation(
                "getToken", "应用令牌",
                "An integrator's program proves itself by client id and secret, in the body or by HTTP Basic, and is "
                "given the token of one service (`audience`), which also works on gRPC; `gateway` is this API.",
                _token(), _body({"client_id": "应用标识", "client_secret": "应用密钥", "audience": "服务名"},
                                ("audience",)),
                security=[],
            )
        },
    }  # fmt: skip


def _object(properties: dict[str, Schema], required: tuple[str, ...] | None = None) -> Schema:
    return {"type": "object", "required": [*properties] if required is None else [*required], "properties": properties}


def _body(fields: dict[str, str], required: tuple[str, ...] | None = None) -> Schema:
    schema = _object({name: {**_TEXT, "title": zh} for name, zh in fields.items()}, required)
    if not schema["required"]:
        del schema["required"]
    return schema | {"additionalProperties": False, "example": dict.fromkeys(fields, "…")}


def _sign_in() -> Schema:
    body = _body({"account": "账号", "password": "密码", "post": "任职代码"}, ("account", "password"))
    body["properties"]["cookie"] = {"type": "boolean", "title": "用 Cookie"}
    return body | {"example": {"account": "demo", "password": "…"}}


def _opened() -> Schema:
    schema = _object({
        "access_token": {"type": "string", "title": "令牌"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "title": "有效秒数", "description": "Seconds until it expires."},
        "refresh_token": {"type": "string", "title": "续期令牌"},
        "csrf_token": {"type": "string", "title": "防跨站令牌", "description": "With cookies, instead of tokens."},
        "must_change_password": {"type": "boolean", "title": "须先改密码"},
        "post": {"type": "string", "title": "任职代码"},
    }, ("expires_in", "must_change_password", "post"))  # fmt: skip
    return schema


def _told() -> Schema:
    texts = {"type": "array", "items": {"type": "string"}}
    post = _object({"post": {"type": "string"}, "title": {"type": "string"}, "units": texts})
    return _object({
        "account": {"type": "string", "title": "账号"},
        "post": {"type": "string", "title": "任职代码"},
        "posts": {"type": "array", "title": "全部任职", "items": post},
        "units": texts | {"title": "单位"},
        "scope": {"type": "string", "title": "管辖范围"},
        "roles": texts | {"title": "角色"},
        "permissions": texts | {"title": "权限"},
        "must_change_password": {"type": "boolean", "title": "须先改密码"},
        "session_ends_at": {"type": "string", "title": "会话截止"},
    })  # fmt: skip


def _ended() -> Schema:
    return _object({"ended": {"type": "integer", "title": "结束的会话数"}})


def _token() -> Schema:
    return _object({
        "access_token": {"type": "string"}, "token_type": {"const": "Bearer"}, "expires_in": {"type": "integer"},
    })  # fmt: skip
