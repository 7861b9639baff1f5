// JdbcTest EXTENSION DATABASE: the steps of run.sh through sqlite-jdbc.
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.StringJoiner;
import org.sqlite.SQLiteConfig;

public class JdbcTest {
  static final long BIG = 9007199254740993L;
  static final String TEXT = "Gr\u00fc\u00dfe \ud83d\ude00";
  static final double REAL = -1.5e300;
  static final byte[] BLOB = {0, (byte) 0xff, 0x10};
  static int checks, failed;
  static Connection db;

  static void check(String what, Object got, Object want) {
    checks++;
    if (String.valueOf(got).equals(String.valueOf(want))) return;
    failed++;
    System.out.println("FAILED " + what + ": got " + got + ", wanted " + want);
  }

  static PreparedStatement bound(String sql, Object... values) throws SQLException {
    PreparedStatement statement = db.prepareStatement(sql);
    for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
    return statement;
  }

  static int run(String sql, Object... values) throws SQLException {
    try (PreparedStatement statement = bound(sql, values)) {
      return statement.executeUpdate();
    }
  }

  // All rows; columns as text with | between them.
  static String rows(String sql, Object... values) throws SQLException {
    try (PreparedStatement statement = bound(sql, values); ResultSet found = statement.executeQuery()) {
      StringJoiner all = new StringJoiner("\n");
      while (found.next()) {
        StringJoiner row = new StringJoiner("|");
        for (int i = 1; i <= found.getMetaData().getColumnCount(); i++) row.add(String.valueOf(found.getObject(i)));
        all.add(row.toString());
      }
      return all.toString();
    }
  }

  static void open(String extension, String path) throws SQLException {
    SQLiteConfig config = new SQLiteConfig();
    config.enableLoadExtension(true);
    db = config.createConnection("jdbc:sqlite:" + path);
    rows("SELECT load_extension(?)", extension);
  }

  static void stored(String when) throws SQLException {
    check("range " + when,
        rows("SELECT ts FROM log WHERE host = ? AND ts >= ? AND ts < ? ORDER BY ts DESC", "h3", 100, 140),
        "133\n123\n113\n103");
    check("values " + when, rows("SELECT name, price, hex(data) FROM item WHERE id = ?", BIG),
        TEXT + "|" + REAL + "|00FF10");
    check("nulls " + when, rows("SELECT name, price, data FROM item WHERE id = ?", BIG + 1), "null|null|null");
    check("count " + when, rows("SELECT count(*) FROM log"), 901);
  }

  public static void main(String[] args) throws SQLException {
    open(args[0], args[1]);
    check("version", rows("SELECT lsm_version() <> ''"), 1);
    run("CREATE VIRTUAL TABLE log USING lsm(host TEXT, ts INTEGER, msg, PRIMARY KEY (host, ts))");
    run("CREATE VIRTUAL TABLE item USING lsm(id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)");
    run("CREATE TABLE ordinary(n INTEGER)");

    db.setAutoCommit(false);
    try (PreparedStatement insert = db.prepareStatement("INSERT INTO log VALUES(?, ?, ?)")) {
      for (int i = 0; i < 1000; i++) {
        insert.setString(1, "h" + i % 10);
        insert.setInt(2, i);
        insert.setString(3, "message " + i);
        insert.addBatch();
      }
      insert.executeBatch();
    }
    db.commit();
    db.setAutoCommit(true);
    check("count", rows("SELECT count(*) FROM log"), 1000);
    check("by key", rows("SELECT msg FROM log WHERE host = ? AND ts = ?", "h7", 507), "message 507");

    check("rows updated", run("UPDATE log SET msg = msg || '!' WHERE host = ? AND ts < ?", "h3", 100), 10);
    check("updated", rows("SELECT msg FROM log WHERE host = 'h3' AND ts = 93"), "message 93!");
    check("rows deleted", run("DELETE FROM log WHERE host = ?", "h9"), 100);

    run("INSERT INTO item VALUES(?, ?, ?, ?)", BIG, TEXT, REAL, BLOB);
    run("INSERT INTO item VALUES(?, ?, ?, ?)", null, null, null, null);
    check("rowid", rows("SELECT last_insert_rowid()"), BIG + 1);

    db.setAutoCommit(false);
    run("INSERT INTO log VALUES('new', 1, 'x')");
    run("DELETE FROM log WHERE host = 'h3'");
    run("INSERT INTO ordinary VALUES(1)");
    check("read in the transaction", rows("SELECT count(*) FROM log"), 801);
    db.rollback();
    check("rolled back", rows("SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM ordinary)"), 900);
    run("INSERT INTO log VALUES('new', 1, 'x')");
    run("INSERT INTO ordinary VALUES(1)");
    db.commit();
    db.setAutoCommit(true);

    String message = "no error";
    try {
      run("INSERT INTO log VALUES('new', 1, 'y')");
    } catch (SQLException error) {
      message = error.getMessage();
    }
    check("duplicate key", message.contains("UNIQUE constraint failed: log.host, log.ts"), true);

    stored("from memory");
    rows("SELECT lsm_flush('log')");
    stored("from a file");
    db.close();
    open(args[0], args[1]);
    stored("after reopening");
    check("verify", rows("SELECT lsm_verify('log')"), "ok");
    db.close();
    System.out.println(checks + " checks" + (failed > 0 ? ", " + failed + " failed" : ""));
  }
}
