// Passkeys: asks the program for options, the browser for an answer, and sends that back. Buttons with data-passkey="sign-in", "register", "confirm" or "approve".
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const send = async (path, content) => {
    const headers = { accept: "application/json", "content-type": "application/json" };
    const token = document.body.dataset.forgery;
    if (token) headers["x-forgery-token"] = token;
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(content), redirect: "error" });
    const told = await answer.json().catch(() => ({}));
    if (told.confirm) {
      location.assign(told.confirm); // it asks first who one is
      return new Promise(() => {});
    }
    if (!answer.ok) throw new Error(typeof told.detail === "string" ? told.detail : `HTTP ${answer.status}`);
    return told;
  };

  const ask = async (options) => {
    const found = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: options.allowCredentials.map((one) => ({ ...one, id: bytes(one.id) })),
      },
    });
    const { authenticatorData, clientDataJSON, signature } = found.response;
    return {
      credential_id: text(found.rawId),
      authenticator_data: text(authenticatorData),
      client_data: text(clientDataJSON),
      signature: text(signature),
    };
  };

  const register = async (options) => {
    const found = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: (options.excludeCredentials || []).map((one) => ({ ...one, id: bytes(one.id) })),
      },
    });
    return {
      credential_id: text(found.rawId),
      client_data: text(found.response.clientDataJSON),
      attestation: text(found.response.attestationObject),
    };
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-passkey]");
    if (!button) return;
    event.preventDefault();
    const form = button.closest("form");
    if (form && !form.reportValidity()) return;
    const fault = document.getElementById(button.dataset.fault);
    fault.hidden = true;
    button.disabled = true;
    try {
      const given = form ? Object.fromEntries(new FormData(form)) : {};
      const asked = await send(button.dataset.options, given);
      const kind = button.dataset.passkey;
      const answer = kind === "register" ? await register(asked.options) : await ask(asked.options);
      if (kind === "register") answer.name = document.getElementById(button.dataset.name).value;
      if (button.dataset.then) answer.then = button.dataset.then;
      const told = await send(button.dataset.answer, { pending: asked.pending, ...answer });
      location.assign(told.location);
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
      button.disabled = false;
    }
  });
})();
