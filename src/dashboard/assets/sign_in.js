// Uses the one-time link in the address: the secret after "#" is sent to no server by itself.

const link = location.hash.slice(1);
const message = document.getElementById("message");

/** Signs in, and opens the dashboard. */
async function signIn() {
  history.replaceState(null, "", location.pathname);
  message.textContent = "Signing in…";
  const response = await fetch("session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ link }),
  });
  if (response.ok) {
    location.replace(location.pathname);
    return;
  }
  message.textContent = `${(await response.text()).trim()}. Ask for a new link: a signed-in ` +
    "operator makes one with “New link”, and the server prints one when it starts.";
}

if (link !== "") {
  signIn().catch(() => {
    message.textContent = "The server can't be reached. Open the link again.";
  });
}
// A link that is pasted into this page's address doesn't load it again by itself.
addEventListener("hashchange", () => location.reload());
