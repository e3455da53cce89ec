"""What the pages of sign-in and of one-time links say."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "sign_in": "Sign in",
    "sign_in.name": "Name",
    "sign_in.password": "Password",
    "sign_in.wrong": "Name or password is wrong.",
    "sign_in.locked": "Too many wrong tries. Try again in {seconds} seconds.",
    "sign_in.busy": "Too many people sign in at this moment. Try again.",
    "sign_in.stale": "The form was too old. Try again.",
    "sign_in.help": "No password yet? An admin makes you a link on the machine: sipbridge users link NAME",
    "sign_in.by": "Sign in by {provider}",
    "sign_in.or": "or with a password of this bridge",
    "sign_in.not_here": "People do not sign in by a password here.",
    # a provider signs in
    "oidc.failed": "Signing in did not work: {why}",
    "oidc.gone": "it took too long, or was begun in another browser",
    "oidc.away": "the provider did not answer as it should",
    "oidc.said_no": "the provider said no",
    "oidc.not_right": "what the provider sent could not be trusted",
    "oidc.no_role": "you have no role here, ask an admin",
    "oidc.bad_name": "the provider gives you no name that can be used here",
    "oidc.other": "there is a user of your name here who is not you; an admin has to sort it out",
    "oidc.again": "Try again",
    # one-time links
    "link.first": "Make the first admin",
    "link.first_words": "Nobody can sign in yet. Choose a name and a password; this link works once.",
    "link.password": "Choose a password",
    "link.password_words": "For {name}. This link works once.",
    "link.new_password": "New password, at least {chars} characters",
    "link.again": "The same password once more",
    "link.differ": "The two passwords are not the same.",
    "link.bad_name": "A name has letters, digits and . _ @ - only, 64 at most.",
    "link.save": "Save and sign in",
    "link.gone": "This link is used up or has expired. A new one: sipbridge users link NAME",
}
