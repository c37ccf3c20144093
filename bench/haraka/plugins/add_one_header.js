exports.hook_data_post = (next, connection) => {
  connection.transaction.add_header('X-Bench-Haraka', 'hello');
  next();
};
