// The audits of GraphQL over HTTP: all 61, the SHOULDs and MAYs too.

import { serverAudits } from 'graphql-http';
import { assert, check, url } from './lib.mjs';

const AUDITS = 61;

const audits = serverAudits({ url: `${url}/graphql`, fetchFn: fetch });
await check(`there are ${AUDITS} audits`, () => assert.equal(audits.length, AUDITS));
for (const audit of audits) {
  await check(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn();
    assert.equal(result.status, 'ok', result.reason);
  });
}
