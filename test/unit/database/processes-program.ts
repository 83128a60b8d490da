/** Opens the database, says so, then adds one to a shared number in transactions, as often as it is told, and says how often. */
import { openDatabase } from '../../../src/database/database.ts';

const [where = '', times = '0'] = process.argv.slice(2);
const database = await openDatabase(where);
console.log('open');
let done = 0;
for (let index = 0; index < Number(times); index++) {
  await database.transaction(async (db) => {
    const found = db.selectFrom('fleet').select('value').where('key', '=', 'sum');
    const row = await (database.kind === 'postgresql' ? found.forUpdate() : found).executeTakeFirst();
    const value = String(Number(row?.value ?? '0') + 1);
    await db
      .insertInto('fleet')
      .values({ key: 'sum', value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
  });
  done += 1;
}
await database.close();
console.log(String(done));
