"""What the page that describes the API says."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "nav.api": "API",
    "api.title": "API",
    "api.about": "For programs. Send the header Authorization: Bearer TOKEN; an admin gives one by "
    "sipbridge users token NAME. It may do what its user's roles may.",
    "api.document": "OpenAPI description: {path}",
    "api.contents": "Contents",
    "api.roles": "Roles",
    "api.query": "Query",
    "api.body": "Body",
    "api.answer": "Answer",
    "api.statuses": "Statuses",
    "api.needed": "needed",
    "api.text": "a text",
}
