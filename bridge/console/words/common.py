"""What every page says, and the overview."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "product": "sipbridge",
    "skip": "Skip to content",
    "nav": "Pages",
    "nav.start": "Overview",
    "nav.approvals": "Approvals",
    "nav.user": "Signed in as {name}",
    "nav.sign_out": "Sign out",
    "offline": "Not connected to the bridge. What you see may be old; trying again …",
    "failed": "That did not work. Load the page again.",
    "signed_out": "You have been signed out, or what you may do has changed. This page is not up to date any more.",
    "sign_in_again": "Sign in again",
    "behind": "The store does not answer ({reason}). What you see may be old.",
    # pages of errors
    "error": "Error {status}",
    "error.back": "Back to the overview",
    "error.not_found": "There is no such page, or no such request.",
    "error.may_not": "{name} ({roles}) may not do this. It takes the role {wanted}.",
    "error.no_role": "no role",
    "error.form": "The form was too old, or not ours. Load the page again; nothing was done.",
    "error.too_long": "The form is too long.",
    "error.late": "The bridge did not get it done in time.",
    "error.inside": "Something is wrong inside the bridge. Its log says what.",
    "moment": "One moment …",
    # start
    "start.title": "Overview",
    "start.pending": "waiting for an approval",
    "start.calls": "live calls",
}
