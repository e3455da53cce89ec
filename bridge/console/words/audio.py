"""What pages say on which people listen to calls, talk on them, or call by their browser."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    # what static/seat.js says
    "seat.microphone_on": "Your microphone is on",
    "seat.microphone_off": "Your microphone is off",
    "seat.mute": "Mute",
    "seat.unmute": "Unmute",
    "seat.is.idle": "Not connected.",
    "seat.is.connecting": "Connecting …",
    "seat.is.listen": "You are listening. Nobody hears you.",
    "seat.is.whisper": "The agent hears you, the caller does not.",
    "seat.is.join": "The caller and the agent hear you.",
    "seat.is.taking": "Taking over …",
    "seat.is.alone": "You have the caller. The agent has left; hand back when you are done.",
    "seat.is.back": "Handing back: you are still on until the agent speaks …",
    "seat.is.calling": "Calling …",
    "seat.is.ringing": "It rings …",
    "seat.is.talking": "Connected.",
    "seat.over": "Ended: {why}",
    "seat.wrong.https": "The browser gives its microphone only to pages that come by https, or from localhost. "
    "Put a proxy with a certificate before the console (console.url).",
    "seat.wrong.denied": "The browser does not let this page use the microphone. Allow it beside the address, "
    "and try again.",
    "seat.wrong.none": "No microphone was found.",
    "seat.wrong.microphone": "The microphone does not work:",
    "seat.wrong.webrtc": "This browser has no WebRTC.",
    "seat.wrong.ice": "No audio path to the bridge. A firewall must let UDP through to it, to the ports of "
    "console.audio.ports; behind a router set console.audio.address, or use a TURN server (console.audio.ice_servers).",
    "seat.wrong.worker": "No audio came from the worker that has the call. Its private address must be reached from "
    "this console's machine, by UDP: sip.bind or edge.workers_bind of its node, and the firewalls between.",
    "seat.wrong.answer": "The bridge did not answer as expected. Load the page again.",
    "nav.phone": "Browser call",
    # the seat on a live call's page
    "seat.deaf": "You cannot listen to this call here: {why}.",
    "seat.there": "Open the call on node {node}",
    "seat.window": "Call {call}",
    "seat.title": "Listen and talk",
    "seat.listen_in": "Listen in",
    "seat.listen": "Listen",
    "seat.listen_what": "nobody hears you",
    "seat.whisper": "Whisper",
    "seat.whisper_what": "the agent hears you, the caller does not",
    "seat.join": "Join",
    "seat.join_what": "both hear you",
    "seat.mode": "Who hears you",
    "seat.take_over": "Take over",
    "seat.take_over_what": "The agent leaves the call; you and the caller talk alone. The recording goes on.",
    "seat.hand_back": "Hand back to the agent",
    "seat.note": "What the agent should know (optional)",
    "seat.leave": "Leave",
    "seat.you": "You",
    "seat.they": "The call",
    "seat.no_script": "Listening and talking takes JavaScript and WebRTC.",
    "seat.not_personal": "Your role may not hear what is said on calls.",
    "seat.no_call": "It is not known yet which call this window is on.",
    "seat.odd": "The page asked for something that does not exist. Load it again.",
    # the browser's phone
    "phone.title": "Browser call",
    "phone.what": "Calls this bridge like a phone: same routing, recording and approvals. The record is marked as a "
    "call from the console, by you.",
    "phone.number": "Number to call",
    "phone.caller": "Number to call from (optional)",
    "phone.caller_what": "What routes and records see. It counts as not verified.",
    "phone.call": "Call",
    "phone.hang_up": "Hang up",
    "phone.keys": "Keys",
    "phone.live": "Watch this call",
    "phone.bad_number": "A number has letters, digits and + * # . _ - only, 64 at most.",
}
