// Signs in: with the one-time link in the address, whose secret after "#" is sent to no server by itself, or
// with the token that is typed.

const link = location.hash.slice(1);
const message = document.getElementById("message");

/** Signs in with what the server takes, and opens the dashboard. */
async function signIn(given, advice) {
  message.textContent = "Signing in…";
  const response = await fetch("session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(given),
  });
  if (response.ok) {
    location.replace(location.pathname);
    return;
  }
  message.textContent = `${(await response.text()).trim()}. ${advice}`;
}

const LINK_ADVICE = "Ask for a new link: a signed-in operator makes one with “New link”, and the " +
  "server prints one when it starts.";

const form = document.getElementById("sign-in");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn({ token: form.elements.token.value }, "Try again.").catch(() => {
    message.textContent = "The server can't be reached. Try again.";
  });
});

if (form === null && link !== "") {
  history.replaceState(null, "", location.pathname);
  signIn({ link }, LINK_ADVICE).catch(() => {
    message.textContent = "The server can't be reached. Open the link again.";
  });
}
// A link that is pasted into this page's address doesn't load it again by itself.
addEventListener("hashchange", () => location.reload());
