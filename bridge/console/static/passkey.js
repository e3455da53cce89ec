/* Passkeys: takes what the server asks to the browser's authenticator, and its answer back in the form it came from. */
"use strict";
(() => {
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) return;
  document.documentElement.classList.add("script");

  const answer = async (button) => {
    const { form } = button;
    const make = button.dataset.passkeyMake;
    if (make) {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(make));
      form.elements.attestation.value = JSON.stringify(await navigator.credentials.create({ publicKey }));
      return;
    }
    const body = new URLSearchParams({ csrf: form.elements.csrf.value });
    const asked = await fetch(button.dataset.passkeyAsk, { method: "POST", body });
    if (!asked.ok) throw new Error(`${asked.status}`);
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse((await asked.json()).options));
    form.elements.assertion.value = JSON.stringify(await navigator.credentials.get({ publicKey }));
  };
  document.body.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-passkey-make], [data-passkey-ask]");
    if (!button) return;
    const failed = button.form.querySelector("[data-failed]");
    failed.hidden = true;
    button.disabled = true;
    try {
      await answer(button);
      button.form.requestSubmit();
    } catch {
      failed.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
})();

/* A form that asks for a proof takes the keyboard when it appears. */
document.body.addEventListener("htmx:afterSettle", (event) => {
  document.getElementById(event.detail.target?.id)?.querySelector(".again input:not([type=hidden])")?.focus();
});
