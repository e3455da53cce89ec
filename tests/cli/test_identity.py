import os
import pwd

import pytest

from bridge.approval.signing import Signer
from bridge.cli.identity import TOKEN, gates_of, whoever, with_store
from bridge.errors import StoreError
from bridge.settings import load
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.nodestore import NodeStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore

ME = pwd.getpwuid(os.geteuid()).pw_name
ANNA = User("anna", frozenset({"approver"}), frozenset({"boss"}))


async def who(folder, environ, name="", *users):
    settings = load(None, {"SIPBRIDGE_STATE_DIR": str(folder)})
    async with Store(f"sqlite:///{folder}/store.db") as store:
        kept = UserStore(store)
        for user in users:
            await kept.put(user)
        if environ.get(TOKEN) == "of anna":
            environ = {TOKEN: await kept.give_token("anna", "", None)}
        return await whoever(kept, settings, environ, name)


async def test_the_owner_of_the_state_administers_but_does_not_decide_unless_made_an_approver(tmp_path):
    assert (await who(tmp_path, {})).roles == {"admin"}
    mine = User(ME, frozenset({"approver"}), frozenset({"boss"}))
    assert (await who(tmp_path, {}, "", mine)).roles == {"admin", "approver"}


async def test_a_token_makes_its_user_and_nobody_else(tmp_path):
    assert (await who(tmp_path, {TOKEN: "of anna"}, "", ANNA)).roles == {"approver"}
    with pytest.raises(StoreError, match="the token is anna's"):
        await who(tmp_path, {TOKEN: "of anna"}, "bert", ANNA)
    with pytest.raises(StoreError, match="not valid"):
        await who(tmp_path, {TOKEN: "sbt_0_0"})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root may decide in another's name")
async def test_root_decides_in_anothers_name_with_that_ones_roles(tmp_path):
    assert (await who(tmp_path, {}, "anna", ANNA)).roles == {"approver"}
    with pytest.raises(StoreError, match="no user eve"):
        await who(tmp_path, {}, "eve")


def test_a_role_that_may_not_is_told_which_may(tmp_path, monkeypatch):
    config = tmp_path / "bridge.yaml"
    config.write_text(f"state_dir: {tmp_path}/var\n")
    (tmp_path / "var").mkdir()

    async def token(store, _settings, _me):
        await UserStore(store).put(User("vic", frozenset({"viewer"}), frozenset()))
        return await UserStore(store).give_token("vic", "", None)

    async def name(_store, _settings, me):
        return me.name

    monkeypatch.setenv(TOKEN, with_store(config, "administer", token))
    assert with_store(config, "look", name) == "vic"
    for may in ("decide", "administer", "audit", "accept_tools", "reconcile"):
        with pytest.raises(StoreError, match="may not"):
            with_store(config, may, name)


async def test_of_a_shared_store_only_the_nodes_that_made_their_keys_known_sign_the_audit(tmp_path):
    settings = load(None, {"SIPBRIDGE_STATE_DIR": str(tmp_path)})
    mine = Signer(tmp_path / "keys")
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        store.shared = True
        gates = await gates_of(store, settings)  # nothing is signed yet
        await gates.note(NewAudit("user_added", "root", {}), "", 1.0)
        with pytest.raises(StoreError, match="no node of this store has the key"):
            await gates_of(store, settings)
        words = {"key_id": mine.key_id, "node": "a", "public": mine.public, "seal": "", "at": 1.0}
        await NodeStore(store).keep_key(words)
        assert isinstance(await gates_of(store, settings), GateStore)
