// Runs the GraphQL over HTTP audits on the server at the given URL, and writes what each found as JSON.
import { serverAudits } from "graphql-http";

const found = [];
for (const audit of serverAudits({ url: process.argv[2], fetchFn: fetch })) {
  const { id, name, status, reason } = await audit.fn();
  found.push({ id, name, status, reason });
}
process.stdout.write(JSON.stringify(found));
