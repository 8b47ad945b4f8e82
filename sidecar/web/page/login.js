// Logging in with a token out of the configuration.

import { h } from "./dom.js";

export function loginView(main, message, login) {
  const token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  const fault = h("p", { class: "fault", role: "alert" }, message ?? "");
  const form = h(
    "form",
    {
      class: "login",
      onsubmit: async (event) => {
        event.preventDefault();
        fault.textContent = "";
        try {
          await login(token.value);
        } catch (error) {
          fault.textContent = error.message;
          token.select();
        }
      },
    },
    h("h1", {}, "Log in"),
    h("p", {}, "With a token of this sidecar's configuration: control.token, or one of control.tokens. An observer's token may look only."),
    h("label", { for: "token" }, "Token"),
    token,
    h("p", { class: "buttons" }, h("button", { class: "primary" }, "Log in")),
    fault,
  );
  main.replaceChildren(form);
  token.focus();
}
