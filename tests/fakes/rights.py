"""Who may what, route by route: the table that tests/test_control_apis.py holds the running program against.

A right is a key of MAY (bridge/approval/request.py). Whoever adds a route says here who may: the moment to think.
"""

API_TABLE = """
look         GET    /dialplan
look         GET    /dialplan/versions
dialplan     GET    /dialplan/versions/{version}
dialplan     POST   /dialplan/reload
dialplan     POST   /dialplan/rollback
dialplan     POST   /dialplan/check
look         POST   /dialplan/explain
look         GET    /dialplan/compare
look         GET    /calls
look         GET    /calls/{id}
calls        POST   /calls/{id}/hang_up
calls        POST   /calls/{id}/transfer
calls        POST   /calls/{id}/warm_transfer
calls        POST   /calls/{id}/supervise
calls        POST   /calls/{id}/take_over
calls        POST   /calls/{id}/recording
calls        POST   /calls/{id}/hand_off
calls        POST   /calls/{id}/hand_back
calls        POST   /calls/{id}/whisper
look         GET    /queues
look         GET    /health
accept_tools POST   /mcp/accept
accept_tools POST   /mcp/forget
look         GET    /history
personal     GET    /calls/{id}/recording
personal     GET    /calls/{id}/transcript
personal     GET    /calls/{id}/shares
personal     POST   /calls/{id}/shares
personal     DELETE /calls/{id}/shares/{share_id}
look         GET    /legal_holds
look         GET    /calls/{id}/legal_hold
administer   POST   /calls/{id}/legal_hold
administer   DELETE /calls/{id}/legal_hold
audit        GET    /audit
dial         POST   /calls
look         GET    /outbound
look         GET    /outbound/{id}
dial         DELETE /outbound/{id}
dial         POST   /campaigns
look         GET    /campaigns
look         GET    /campaigns/{name}
dial         POST   /campaigns/{name}/pause
dial         POST   /campaigns/{name}/resume
dial         POST   /campaigns/{name}/cancel
look         GET    /nodes
dialplan     POST   /nodes/reload
administer   POST   /nodes/{name}/drain
administer   POST   /nodes/{name}/undrain
administer   DELETE /nodes/{name}
audit        GET    /webhooks
audit        GET    /webhooks/deliveries
administer   POST   /webhooks/deliveries/{id}/redeliver
administer   POST   /webhooks/{name}/test
administer   POST   /webhooks/{name}/enable
look         GET    /approvals
look         GET    /approvals/statistics
look         GET    /approvals/{id}
decide       POST   /approvals/{id}/approve
decide       POST   /approvals/{id}/deny
decide       POST   /approvals/{id}/ask
reconcile    POST   /approvals/{id}/reconcile
look         GET    /events
administer   GET    /users
administer   POST   /users
administer   DELETE /users/{name}
administer   GET    /tokens
administer   POST   /users/{name}/tokens
administer   DELETE /tokens/{id}
look         GET    /openapi.json
"""
CONSOLE_TABLE = """
look         GET    /
look         GET    /overview
look         POST   /sign-out
look         GET    /approvals/decided
look         GET    /approvals/statistics
look         GET    /approvals
look         GET    /approvals/{id}
decide       POST   /approvals/{id}/approve
decide       POST   /approvals/{id}/deny
decide       POST   /approvals/{id}/edit
decide       POST   /approvals/{id}/ask
reconcile    POST   /approvals/{id}/reconcile
look         GET    /history
look         GET    /history/export.csv
look         GET    /history/export.jsonl
look         GET    /history/{id}
personal     GET    /history/{id}/recording
look         GET    /history/{id}/call.json
personal     POST   /history/{id}/share
personal     POST   /history/{id}/unshare
administer   POST   /history/{id}/hold
administer   POST   /history/{id}/release
look         GET    /dialplan
look         GET    /dialplan/disk
look         GET    /dialplan/versions
look         GET    /dialplan/compare
look         GET    /dialplan/explain
look         GET    /dialplan/file/{which}/{name:path}
look         POST   /dialplan/explain
dialplan     POST   /dialplan/reload
dialplan     POST   /dialplan/rollback
look         GET    /health
look         GET    /health/panels
administer   GET    /health/doctor
look         GET    /notices
administer   POST   /health/doctor
administer   POST   /health/workers/{name}/{order}
administer   POST   /health/nodes/{name}/{order}
accept_tools POST   /health/mcp/{order}
look         GET    /api
audit        GET    /audit
audit        GET    /audit/export.jsonl
audit        GET    /webhooks
administer   POST   /webhooks/{name}/test
administer   POST   /webhooks/{name}/enable
administer   POST   /webhooks/deliveries/{id}/redeliver
look         GET    /events
look         GET    /calls
look         GET    /calls/events
look         GET    /calls/{id}
look         GET    /calls/{id}/events
calls        POST   /calls/{id}/whisper
calls        POST   /calls/{id}/transfer
calls        POST   /calls/{id}/hand_off
calls        POST   /calls/{id}/hand_back
calls        POST   /calls/{id}/recording
calls        POST   /calls/{id}/hang_up
dial         GET    /phone
dial         POST   /phone/call
calls        GET    /calls/{id}/listen
calls        POST   /calls/{id}/seat
calls        POST   /seats/{seat}/mode
calls        POST   /seats/{seat}/take-over
calls        POST   /seats/{seat}/hand-back
look         POST   /seats/{seat}/leave
look         GET    /account
look         POST   /account/password
look         POST   /account/totp
look         POST   /account/totp/confirm
look         POST   /account/passkey
look         POST   /account/passkey/add
look         POST   /account/passkey/ask
look         POST   /account/codes
look         POST   /account/factors/{id}/remove
look         POST   /account/sessions/{id}/end
look         POST   /account/sessions/end
look         POST   /account/tokens
look         POST   /account/tokens/{id}/revoke
administer   GET    /users
administer   GET    /users/{name}
administer   POST   /users
administer   POST   /users/{name}
administer   POST   /users/{name}/link
administer   POST   /users/{name}/factors
administer   POST   /users/{name}/sessions
administer   POST   /users/{name}/tokens
administer   POST   /users/{name}/remove
"""
OPEN_TABLE = """
GET /livez
GET /readyz
GET /healthz
GET /metrics
GET /
GET /console
GET /console/static/{version}/{name}
GET /console/sign-in
POST /console/sign-in
GET /console/link/{secret}
POST /console/link/{secret}
GET /console/oidc
POST /console/oidc
GET /console/oidc/callback
POST /console/oidc/callback
GET /console/shared/{secret}
GET /console/shared/{secret}/recording
GET /node/recordings/{id}
GET /node/recordings/{id}/peaks
"""
"""Nobody has to be somebody for these; what a form of them needs besides is the secret of its cookie.

Those of /node are for other nodes, by tickets that they seal: tests/test_control_recordings.py.
"""
NOT_BY_TOKEN = {("POST", "/api/v1/users/{name}/tokens")}
"""No token may, whatever its roles: only a person who has signed in, here to the machine (its socket)."""
SOMETIMES = {(method, f"/console/{path}") for method in ("GET", "POST") for path in ("oidc", "oidc/callback")}
SOMETIMES |= {("GET", "/node/recordings/{id}"), ("GET", "/node/recordings/{id}/peaks")}
"""Routes of the tables that depend on the settings."""


def _read(table, base):
    rows = (line.split() for line in table.split("\n") if line)
    return {(method, f"{base}{path}"): right for right, method, path in rows}


API = _read(API_TABLE, "/api/v1")
CONSOLE = _read(CONSOLE_TABLE, "/console")
OPEN = {tuple(line.split()) for line in OPEN_TABLE.split("\n") if line}
