// Stands in for the native package, which needs a compiler and Node's headers: Janus is
// reached by WebSocket here.
exports.createSocket = () => {
  throw new Error('no Unix sockets here: give Janus a ws:// address');
};
