// PostGraphile as in its documentation for production: the Amber preset, without GraphiQL, watch mode and explain.
// The two conditions are the documented way to filter by more than equality.
import { createServer } from "node:http";
import process from "node:process";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { addPgTableCondition } from "postgraphile/utils";
import { sql, TYPES, listOfCodec } from "postgraphile/@dataplan/pg";

const opensBefore = addPgTableCondition(
  { schemaName: "public", tableName: "market_data" },
  "opensBefore",
  (build) => ({
    type: build.getInputTypeByName("Datetime"),
    apply($condition, value) {
      if (value != null) {
        $condition.where(sql`${$condition.alias}.timestamp < ${sql.value(value)}::timestamptz`);
      }
    },
  }),
);

const symbols = addPgTableCondition(
  { schemaName: "public", tableName: "cryptocurrencies" },
  "symbols",
  (build) => ({
    type: new build.graphql.GraphQLList(new build.graphql.GraphQLNonNull(build.graphql.GraphQLString)),
    apply($condition, value) {
      if (value != null) {
        $condition.where(sql`${$condition.alias}.symbol = any(${sql.value(value)}::text[])`);
      }
    },
  }),
);

const preset = {
  extends: [PostGraphileAmberPreset],
  // Lists cost less than connections, according to its documentation.
  schema: { defaultBehavior: "+list" },
  plugins: [opensBefore, symbols],
  pgServices: [
    makePgService({
      connectionString: process.env.DATABASE_URL,
      schemas: ["public"],
      poolConfig: { max: Number(process.env.DATABASE_POOL_SIZE) },
    }),
  ],
  grafast: { explain: false },
  grafserv: { graphiql: false, watch: false, port: Number(process.env.PORT) },
};

const server = createServer();
server.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
const instance = postgraphile(preset);
await instance.createServ(grafserv).addTo(server);
server.listen(Number(process.env.PORT), "127.0.0.1");
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
if (process.env.PRINT_SCHEMA) {
  const { printSchema } = await import("graphql");
  console.log(printSchema(await instance.getSchema()));
  process.exit(0);
}
