// What the Node scripts share: where the server is, and one printed line a check.

import assert from 'node:assert/strict';
import { inspect } from 'node:util';

export { assert };
export const url = process.env.FOURFOLD_URL;
export const modelPackage = process.env.FOURFOLD_PACKAGE;
export const adminToken = process.env.FOURFOLD_ADMIN_TOKEN;
export const customerToken = process.env.FOURFOLD_CUSTOMER_TOKEN;
export const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** What every client finds in the example. */
export const ACDC_ALBUMS = ['For Those About To Rock We Salute You', 'Let There Be Rock'];

/** Text that is easily mangled on its way, and a price whose last zero a number would lose. */
export const TRICKY = { name: 'Ünïcode ✓ "\\ 𝄞', unit_price: '12345678.90' };

/** Runs one check and prints how it went; a failure does not stop the next one. */
export async function check(name, body) {
  try {
    await body();
    console.log(`ok ${name}`);
  } catch (error) {
    const why = String(error?.message ?? error).replace(/\s+/g, ' ').slice(0, 400);
    console.log(`not ok ${name}: ${why}`);
    process.exitCode = 1;
  }
}

/** The value that a promise is rejected with; to resolve is a failure. */
export async function rejection(promise) {
  const value = await promise.then((value) => ({ value }), (error) => ({ error }));
  if ('error' in value) return value.error;
  throw new Error(`expected a refusal, got ${inspect(value.value)}`);
}

/** A key that no other check uses. */
let next = 9_000_000 + Math.floor(Math.random() * 900_000);
export const freshKey = () => next++;

export async function text(path, headers = {}) {
  const response = await fetch(url + path, { headers });
  assert.equal(response.status, 200, `GET ${path} answers ${response.status}`);
  return response.text();
}
