'use strict';
const model = JSON.parse(document.getElementById('model').textContent);
const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) node[name] = value;
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
};
const token = document.getElementById('token');
token.value = sessionStorage.getItem('token') || '';
document.querySelector('form.token').onsubmit = event => event.preventDefault();
token.oninput = () => { sessionStorage.setItem('token', token.value.trim()); describeCaller(); };
const authorization = () => token.value.trim() ? { Authorization: 'Bearer ' + token.value.trim() } : {};
function describeCaller() {
  const who = document.getElementById('who');
  try {
    const text = token.value.trim();
    if (!text) { who.textContent = ''; return; }
    const claims = JSON.parse(atob(text.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
    who.textContent = 'you are ' + claims.sub;
  } catch { who.textContent = 'not a token'; }
}

const pretty = text => { try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; } };
async function http(path, options) {
  const response = await fetch(path, { ...options, headers: { ...authorization(), ...(options && options.headers) } });
  return { good: response.ok, status: response.status + ' ' + response.statusText, text: pretty(await response.text()) };
}
function socket(method, data) {
  return new Promise((resolve, reject) => {
    const url = (location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host + '/connection/websocket';
    const ws = new WebSocket(url);
    const seen = [];
    const timer = setTimeout(() => { ws.close(); reject(new Error('no answer within 5 s')); }, 5000);
    const done = (good, status) => { clearTimeout(timer); ws.close(); resolve({ good, status, text: seen.map(pretty).join('\n') }); };
    ws.onopen = () => ws.send(JSON.stringify({ id: 1, connect: token.value.trim() ? { token: token.value.trim() } : {} }));
    ws.onclose = event => { clearTimeout(timer); resolve({ good: false, status: 'closed ' + event.code + ' ' + event.reason, text: seen.map(pretty).join('\n') }); };
    ws.onmessage = event => {
      for (const line of event.data.split('\n').filter(Boolean)) {
        const reply = JSON.parse(line);
        if (!Object.keys(reply).length) { ws.send('{}'); continue; }
        seen.push(line);
        if (reply.error) return done(false, 'error ' + reply.error.code);
        if (reply.connect) ws.send(JSON.stringify({ id: 2, rpc: { method, data } }));
        if (reply.id === 2) return done(true, 'connected, one call answered');
      }
    };
  });
}

function examples(entity) {
  const query = `{ ${entity.graphql}(first: 3) { totalCount nodes { ${entity.shown.join(' ')} } } }`;
  const rest = `/${model.version}/${entity.plural}?page_size=3`;
  const rpc = `/${entity.service}/${entity.list}`;
  const json = { 'Content-Type': 'application/json' };
  return [
    { key: 'rest', name: 'REST', use: 'public APIs, plain CRUD', on: entity.expose.rest, shown: `GET ${rest}`, run: () => http(rest) },
    { key: 'graphql', name: 'GraphQL', use: 'exactly the fields asked for', on: entity.expose.graphql, shown: `POST /graphql\n${query}`,
      run: () => http('/graphql', { method: 'POST', headers: { ...json, Accept: 'application/graphql-response+json' }, body: JSON.stringify({ query }) }) },
    { key: 'grpc', name: 'gRPC', use: 'between services; here by Connect', on: entity.expose.grpc, shown: `POST ${rpc}\n{"page_size": 3}`,
      run: () => http(rpc, { method: 'POST', headers: { ...json, 'Connect-Protocol-Version': '1' }, body: '{"page_size":3}' }) },
    { key: 'websocket', name: 'WebSocket', use: 'both ways, on one connection', on: entity.expose.websocket,
      shown: `WS /connection/websocket\n{"id": 1, "connect": {}}\n{"id": 2, "rpc": {"method": "${entity.plural}.list", "data": {"page_size": 3}}}`,
      run: () => socket(entity.plural + '.list', { page_size: 3 }) },
  ];
}
function card(example) {
  const answer = el('pre', { class: 'answer', tabindex: 0 });
  const status = el('div', { class: 'status', 'aria-live': 'polite' });
  const button = el('button', { type: 'button', id: 'run-' + example.key }, 'Run');
  button.disabled = !example.on;
  button.onclick = async () => {
    button.disabled = true;
    // What an earlier run has shown is not the answer to this one.
    status.textContent = 'running …';
    answer.textContent = '';
    const begun = performance.now();
    let result;
    try { result = await example.run(); } catch (error) { result = { good: false, status: error.message, text: '' }; }
    const took = (performance.now() - begun).toFixed(1) + ' ms';
    status.replaceChildren(el('span', { class: result.good ? 'ok' : 'bad' }, result.status), ' · ' + took + ' · ' + new Blob([result.text]).size + ' bytes shown');
    answer.textContent = result.text;
    button.disabled = false;
  };
  return el('div', { class: 'card api', style: `--tone:var(--${example.key})` },
    el('div', { class: 'top' }, el('b', {}, example.name), el('span', { class: 'for' }, example.on ? example.use : 'not exposed by the model'), button),
    el('pre', {}, example.shown), status, answer);
}
function member(field) {
  const type = field.relation ? el('a', { href: '#' + field.relation }, field.type) : field.type;
  return el('tr', { title: field.doc }, el('td', {}, el('code', {}, field.name), ...field.notes.map(note => el('span', { class: 'note' }, note))), el('td', {}, el('code', {}, type)));
}
function rule(rule) {
  return el('div', { class: 'rule' }, el('span', { class: 'verbs' }, rule.verbs.join(' · ')), el('code', {}, rule.text));
}
function show() {
  const entity = model.entities.find(entity => entity.name === location.hash.slice(1)) || model.entities[0];
  for (const link of document.querySelectorAll('#entities a')) {
    if (entity && link.hash === '#' + entity.name) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
  }
  const place = document.getElementById('entity');
  if (!entity) { place.replaceChildren(el('h1', {}, 'No entity yet'), el('p', {}, 'Add one to the model; the server sees the change.')); return; }
  place.replaceChildren(el('h1', {}, entity.name), el('p', {}, entity.doc || `/${model.version}/${entity.plural} · ${entity.graphql} · ${entity.service}`),
    el('div', { class: 'two' },
      el('div', { class: 'card' }, el('h3', {}, 'Fields'), el('table', {}, el('tbody', {}, ...entity.members.map(member)))),
      el('div', { class: 'card' }, el('h3', {}, 'Who may do what'), ...(entity.rules.length ? entity.rules.map(rule) : [el('div', { class: 'none' }, 'No rule: nobody may do anything.')]))));
  document.getElementById('apis').replaceChildren(...examples(entity).map(card));
}
document.getElementById('entities').append(...model.entities.map(entity => el('li', {}, el('a', { href: '#' + entity.name }, entity.name))));
window.onhashchange = show;
describeCaller();
show();
