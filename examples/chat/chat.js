// Rooms over one WebSocket, by the official client. What is stored (rooms, members, messages) is listed once and then followed from
// the list's cursor; who is there and who is typing is of the moment alone.

const PAGE = 50;
const PAGE_MAX = 1_000;
const TYPING_SHOWN_MS = 4_000;
const TYPING_SENT_EVERY_MS = 2_000;
const PAUSE_MS = 500;
const PEOPLE_SHOWN = 5;
/** After so long the same author is named again, with the time. */
const BYLINE_AGAIN_MS = 10 * 60_000;

const $ = (id) => document.getElementById(id);
const api = document.querySelector('meta[name=api]').content;
const me = sessionStorage.getItem('name');

const rooms = new Map(), mine = new Map(), members = new Map(), messages = new Map(), typing = new Map();
/** Rooms in which something was said while another was shown. */
const unread = new Set();
/** What was written and is not known to be stored, in its order. */
const outbox = [];
let here = [];
let hasEarlier = false;
/** The room that is shown, and its subscriptions. */
let room, chat, memberRows;

/** A token of the page's own server, again whenever the client needs one. */
async function tokenFor(name) {
  const answer = await fetch('token', { method: 'POST', body: name });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.text();
}

const client = new Centrifuge(`${api.replace(/^http/, 'ws')}/connection/websocket`, {
  getToken: () => tokenFor(me),
  minReconnectDelay: 300,
  maxReconnectDelay: 4_000,
});
const call = async (method, data) => (await client.rpc(method, data)).data;

/**
 * Keeps `rows` as they are on the server. The client asks `getState` at first, and again only where the log can no longer tell
 * what was missed: after a lost connection it goes on by itself from the last place that it knows.
 */
function follow(channel, list, rows, draw, options = {}) {
  const getState = async () => {
    const { items, cursor } = await list();
    if (subscription.state !== 'unsubscribed') fill(rows, items);
    draw();
    const [epoch, offset] = cursor.split('.');
    return { epoch, offset: Number(offset) };
  };
  const subscription = client.newSubscription(channel, { ...options, getState });
  subscription.on('publication', ({ data }) => {
    if (data.change === 'left') rows.delete(data.key);
    else if (data.change) rows.set(data.key, data.item);
    draw();
  });
  subscription.subscribe();
  return subscription;
}

function fill(rows, items) {
  rows.clear();
  for (const item of items) rows.set(item.id, item);
}

function unfollow(subscription) {
  subscription?.unsubscribe();
  if (subscription) client.removeSubscription(subscription);
}

/** Shows a room: its members, and where the caller is one of them what is said. */
function show(id) {
  unfollow(memberRows);
  unfollow(chat);
  [room, chat] = [id, undefined];
  history.replaceState(null, '', `#${id}`);
  for (const rows of [members, messages, typing]) rows.clear();
  here = [];
  [hasEarlier, isAtEnd] = [false, true];
  unread.delete(id);
  memberRows = follow(`members?room_id=${id}`, () => call('members.list', { room_id: id, page_size: PAGE_MAX }), members, draw);
  attend();
  draw();
}

const isIn = (id) => [...mine.values()].some((member) => member.room_id === id);

/** Takes part in the room as long as the caller is a member of it. */
function attend() {
  if (chat && !isIn(room)) {
    unfollow(chat);
    chat = undefined;
    messages.clear();
    here = [];
  }
  if (chat || !room || !isIn(room)) return;
  const id = room;
  const device = matchMedia('(max-width: 720px)').matches ? 'phone' : 'desk';
  const subscription = follow(`chat:${id}`, () => page(id), messages, draw, { data: { presence: { device } }, joinLeave: true });
  const whoIsHere = async () => {
    const { clients } = await subscription.presence();
    if (subscription === chat) here = Object.values(clients);
    draw();
  };
  subscription.on('subscribing', () => { here = []; draw(); });
  for (const event of ['subscribed', 'join', 'leave']) subscription.on(event, () => whoIsHere().catch(() => {}));
  subscription.on('publication', ({ data, info }) => {
    if (data.signal) types(info.user);
    else typing.delete(data.item?.author);
    draw();
  });
  chat = subscription;
}

/** Marks rooms that are not shown. Nothing is listed: what was said before the page was opened is not news. */
function listenElsewhere() {
  const elsewhere = client.newSubscription('messages?fields=room_id');
  elsewhere.on('publication', ({ data }) => {
    if (data.change !== 'entered' || data.item.room_id === room) return;
    unread.add(data.item.room_id);
    drawRooms();
  });
  elsewhere.subscribe();
}

function types(who) {
  clearTimeout(typing.get(who));
  typing.set(who, setTimeout(() => { typing.delete(who); draw(); }, TYPING_SHOWN_MS));
}

let toldTyping = 0;
function tellTyping() {
  if (chat?.state !== 'subscribed' || Date.now() - toldTyping < TYPING_SENT_EVERY_MS) return;
  toldTyping = Date.now();
  // A signal that is lost is no loss.
  chat.publish({ signal: 'typing' }).catch(() => {});
}

/** Whether the same call may go well later: the connection was lost (the client's own codes), or the server says so. */
const isPassing = (error) => client.state !== 'disconnected' && (error.temporary || error.code < 100);

/** Sends what waits, in order, until each is answered. The request id makes it harmless to send again what had arrived. */
let isSending = false;
async function send() {
  if (isSending) return;
  isSending = true;
  while (outbox.length) {
    const data = outbox[0];
    try {
      const row = await call('messages.create', { data, request_id: data.id });
      if (row.room_id === room && isIn(room)) messages.set(row.id, row);
    } catch (error) {
      if (isPassing(error)) {
        await new Promise((done) => setTimeout(done, PAUSE_MS));
        continue;
      }
      $('text').value ||= data.text;
      trouble(error);
    }
    outbox.shift();
    draw();
  }
  isSending = false;
}

const trouble = (error) => { $('trouble').textContent = error?.message ?? ''; };

/** Runs what a button does, and tells what went wrong. */
const act = (deed) => async (event) => {
  event?.preventDefault();
  trouble();
  await Promise.resolve(deed()).catch(trouble);
};

const inOrder = () => [...messages.values()].sort((a, b) => a.number - b.number);

/** The newest messages of a room that a condition holds for. */
async function page(room_id, condition = {}) {
  const found = await call('messages.list', { ...condition, room_id, order_by: '-number', page_size: PAGE });
  if (room_id === room) hasEarlier = 'next_page_token' in found;
  return found;
}

async function showEarlier() {
  const of = room;
  const { items } = await page(of, { number__lt: inOrder()[0].number });
  if (of !== room) return;
  const scroll = $('scroll');
  const below = scroll.scrollHeight - scroll.scrollTop;
  for (const item of items) messages.set(item.id, item);
  draw();
  scroll.scrollTop = scroll.scrollHeight - below;
}

/** A room and its first member, in one commit. */
async function makeRoom() {
  const [id, title] = [crypto.randomUUID(), $('title').value.trim()];
  await call('batch', {
    operations: [{ create: 'rooms', data: { id, title } }, { create: 'members', data: { room_id: id } }],
    request_id: id,
  });
  $('title').value = '';
  show(id);
}

function say() {
  const text = $('text').value.trim();
  $('text').value = '';
  if (!text) return;
  toldTyping = 0;
  outbox.push({ id: crypto.randomUUID(), room_id: room, text });
  isAtEnd = true;
  draw();
  send();
}

async function leave() {
  const member = [...mine.values()].find((member) => member.room_id === room);
  await call('members.delete', { id: member.id });
}

function element(name, members = {}, ...children) {
  const made = Object.assign(document.createElement(name), members);
  made.append(...children);
  return made;
}

/** A letter on a colour of its own. */
function face(name) {
  const tone = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  const made = element('span', { className: 'face' }, [...name][0]);
  made.style.setProperty('--tone', tone);
  return made;
}

function draw() {
  drawRooms();
  $('none').hidden = rooms.has(room);
  $('room').hidden = !rooms.has(room);
  if (!rooms.has(room)) return;
  const isMine = isIn(room);
  $('room-title').textContent = rooms.get(room).title;
  for (const id of ['composer', 'leave', 'scroll']) $(id).hidden = !isMine;
  $('join').hidden = isMine;
  drawPeople();
  drawMessages();
  const who = [...typing.keys()].sort();
  $('typing').textContent = who.length ? `${who.join(', ')} ${who.length > 1 ? 'are' : 'is'} typing …` : '';
}

function drawRooms() {
  const sorted = [...rooms.values()].sort((a, b) => inLetters(a.title, b.title));
  $('rooms').replaceChildren(...sorted.map(({ id, title }) => {
    const button = element('button', { onclick: () => show(id) }, element('span', { className: 'name' }, title));
    if (isIn(id)) button.append(element('span', { className: unread.has(id) ? 'unread' : 'soft' }, unread.has(id) ? 'new' : 'member'));
    if (id === room) button.setAttribute('aria-current', 'true');
    return element('li', {}, button);
  }));
}

function drawPeople() {
  const devices = Map.groupBy(here, ({ user }) => user);
  const people = [...members.values()].map(({ user }) => user).sort((a, b) => devices.has(b) - devices.has(a) || inLetters(a, b));
  // Who is one more than there is room for is shown as well as its number.
  const shown = people.length > PEOPLE_SHOWN + 1 ? people.slice(0, PEOPLE_SHOWN) : people;
  $('people').replaceChildren(...shown.map((user) => {
    const where = devices.get(user)?.map(({ chanInfo }) => chanInfo.device);
    const title = `${user}${user === me ? ' (you)' : ''}: ${where ? [...new Set(where)].join(', ') : 'not here'}`;
    return element('li', { className: where ? 'here' : '', title }, face(user), element('span', { className: 'who' }, user));
  }));
  const others = people.slice(shown.length);
  if (others.length) $('people').append(element('li', { className: 'others', title: others.join(', ') }, `+${others.length}`));
}

const inLetters = (a, b) => a.localeCompare(b, undefined, { numeric: true });

let isAtEnd = true;
const toEnd = () => { $('scroll').scrollTop = $('scroll').scrollHeight; };
$('scroll').onscroll = ({ target }) => { isAtEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 40; };
addEventListener('resize', () => isAtEnd && toEnd());

function drawMessages() {
  const waiting = outbox.filter(({ id, room_id }) => room_id === room && !messages.has(id));
  let before;
  $('messages').replaceChildren(...[...inOrder(), ...waiting].map((message) => {
    const { author = me, sent_at } = message;
    const line = element('li', { className: `${author === me ? 'mine' : ''} ${sent_at ? '' : 'waits'}` });
    const isLater = sent_at && before?.sent_at && new Date(sent_at) - new Date(before.sent_at) > BYLINE_AGAIN_MS;
    if (author !== before?.author || !sent_at !== !before.sent_at || isLater) line.append(byline(author, sent_at));
    before = { author, sent_at };
    line.append(element('div', { className: 'text', title: sent_at ? new Date(sent_at).toLocaleString() : '' }, message.text));
    return line;
  }));
  $('earlier').hidden = !hasEarlier;
  if (isAtEnd) toEnd();
}

function byline(author, sent_at) {
  const when = sent_at ? timeOf(new Date(sent_at)) : 'waits to be sent';
  const who = author === me ? [] : [face(author), element('span', {}, author)];
  return element('div', { className: 'by' }, ...who, element('span', {}, when));
}

/** The time of a moment of today, else its day too. */
function timeOf(at) {
  const day = at.toDateString() === new Date().toDateString() ? {} : { day: 'numeric', month: 'short' };
  return at.toLocaleString([], { ...day, hour: '2-digit', minute: '2-digit' });
}

function start() {
  $('app').hidden = false;
  $('me').replaceChildren(face(me), ` ${me}`);
  for (const state of ['connecting', 'connected', 'disconnected']) {
    client.on(state, ({ reason }) => {
      $('state').dataset.is = state;
      $('state').textContent = state === 'disconnected' ? reason : state;
    });
  }
  follow('rooms', () => call('rooms.list', { page_size: PAGE_MAX }), rooms, draw);
  follow(`members?user=${encodeURIComponent(me)}`, () => call('members.list', { user: me, page_size: PAGE_MAX }), mine, () => { attend(); draw(); });
  listenElsewhere();
  if (location.hash) show(location.hash.slice(1));
  client.connect();
}

$('sign-in').onsubmit = async (event) => {
  event.preventDefault();
  const name = $('name').value.trim();
  try {
    await tokenFor(name);
  } catch (error) {
    $('refused').textContent = error.message;
    return;
  }
  sessionStorage.setItem('name', name);
  location.reload();
};
$('sign-out').onclick = () => { sessionStorage.clear(); location.replace(location.pathname); };
$('new-room').onsubmit = act(makeRoom);
$('composer').onsubmit = act(say);
$('leave').onclick = act(leave);
$('join').querySelector('button').onclick = act(() => call('members.create', { data: { room_id: room } }));
$('earlier').onclick = act(showEarlier);
$('text').oninput = tellTyping;

if (me) {
  $('sign-in').hidden = true;
  start();
}
