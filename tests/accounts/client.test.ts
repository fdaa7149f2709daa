/**
 * The gateway as a client of authorization servers: how it registers and names itself, and what it does where
 * an upstream changes its server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { textOf } from "../support/wire.ts";
import { callConnected, GATEWAY, linkOf, World, type WorldOptions } from "./world.ts";

async function withWorld(
  options: WorldOptions,
  act: (world: World) => Promise<void>,
): Promise<void> {
  const world = new World(options);
  try {
    await act(world);
  } finally {
    await world.close();
  }
}

test("[UPA-68] the gateway registers as a web application, as a native one on loopback", async () => {
  for (const [url, type] of [[GATEWAY, "web"], ["http://127.0.0.1:8080", "native"]] as const) {
    await withWorld({ accounts: { url, allowInsecure: true } }, async (world) => {
      world.service.faults.metadata = { client_id_metadata_document_supported: false };
      const peer = await world.peer("ada");
      const { url: link } = await linkOf(peer, await peer.call(1, "notes__who"));
      await world.browser("ada", url).begin(link);
      const [registered] = world.service.registrations;
      assert.equal(registered?.application_type, type);
      assert.deepEqual(registered?.redirect_uris, [`${url}/accounts/callback`]);
      const page = await world.node().accounts.routes(new Request(`${url}/accounts/client.json`));
      assert.equal((await page?.json()).application_type, type);
    });
  }
});

test("[UPA-68] an id and a secret are encoded as forms are, so that servers can read them that don't decode", async () => {
  const issuer = "https://login-notes.example";
  for (
    const [clientId, clientSecret, sent] of [
      ["my-gateway_1.0", "a-b_c.d", "my-gateway_1.0:a-b_c.d"],
      ["my:gateway", "50% of ö", "my%3Agateway:50%25+of+%C3%B6"],
    ] as const
  ) {
    await withWorld({ auth: { clientId, clientSecret, issuer } }, async (world) => {
      await callConnected(world, await world.peer("ada"), "ada", "notes__who");
      const token = world.service.requests.find(({ path }) => path === "/token");
      assert.equal(token?.authorization, `Basic ${btoa(sent)}`);
    });
  }
});

test("[UPA-69] an upstream that names another server asks anew, with a registration of its own there", async () => {
  await withWorld({ services: ["notes", "mail"] }, async (world) => {
    const [notes, mail] = world.services;
    assert.ok(notes && mail);
    for (const { faults } of [notes, mail]) {
      faults.metadata = { client_id_metadata_document_supported: false };
    }
    const peer = await world.peer("ada");
    assert.equal(textOf(await callConnected(world, peer, "ada", "notes__who")), "ada@notes");
    await world.clock.advance(5_000);
    // The same server: an error, and no loop of questions
    notes.faults.refusesAll = true;
    assert.match(await (await peer.call(5, "notes__who")).text(), /unauthorized/);
    notes.faults.resource = { authorization_servers: [mail.issuer] };
    const { url } = await linkOf(peer, await peer.call(6, "notes__who"));
    const at = await world.browser("ada").begin(url);
    assert.equal(at.origin, mail.issuer);
    assert.equal(mail.registrations.length, 1);
    assert.equal(notes.registrations.length, 1);
    const [secret] = [...notes.secrets].filter((each) => each.startsWith("refresh"));
    assert.ok(secret !== undefined);
    assert.ok(mail.requests.every(({ form }) => form.get("refresh_token") !== secret));
  });
});

test("[UPA-70] connect_account asks at an upstream that opens a session for everybody", async () => {
  await withWorld({}, async (world) => {
    world.service.faults.opensForAll = true;
    const peer = await world.peer("ada");
    const { url } = await linkOf(peer, await peer.call(1, "notes__connect_account"));
    assert.equal((await world.browser("ada").connect(url)).status, 200);
    const result = await peer.result(await peer.call(2, "notes__connect_account"));
    assert.match(String(textOf(result)), /is connected/);
    assert.equal(textOf(await peer.result(await peer.call(3, "notes__who"))), "ada@notes");
  });
});
