// main.go EXTENSION DATABASE: the steps of run.sh through mattn/go-sqlite3.
package main

import (
	"database/sql"
	"fmt"
	"os"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"
)

const (
	big  = int64(9007199254740993)
	text = "Grüße \U0001f600"
	real = -1.5e300
)

var (
	blob           = []byte{0, 0xff, 0x10}
	checks, failed int
	db             *sql.DB
)

func check(what string, got, want interface{}) {
	checks++
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		failed++
		fmt.Printf("FAILED %s: got %s, wanted %s\n", what, g, w)
	}
}

func must(err error) {
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

func open() {
	var err error
	db, err = sql.Open("sqlite3_lsm", os.Args[2])
	must(err)
}

type runner interface {
	Exec(string, ...interface{}) (sql.Result, error)
	QueryRow(string, ...interface{}) *sql.Row
}

func run(on runner, statement string, values ...interface{}) sql.Result {
	result, err := on.Exec(statement, values...)
	must(err)
	return result
}

func one(on runner, query string, values ...interface{}) (value interface{}) {
	must(on.QueryRow(query, values...).Scan(&value))
	return
}

func affected(result sql.Result) int64 {
	n, err := result.RowsAffected()
	must(err)
	return n
}

func stored(when string) {
	found, err := db.Query("SELECT ts FROM log WHERE host = ? AND ts >= ? AND ts < ? ORDER BY ts DESC", "h3", 100, 140)
	must(err)
	var all []int
	for found.Next() {
		var ts int
		must(found.Scan(&ts))
		all = append(all, ts)
	}
	must(found.Err())
	check("range "+when, all, []int{133, 123, 113, 103})
	var name, price, data interface{}
	const byID = "SELECT name, price, data FROM item WHERE id = ?"
	must(db.QueryRow(byID, big).Scan(&name, &price, &data))
	check("values "+when, []interface{}{name, price, data}, []interface{}{text, real, blob})
	must(db.QueryRow(byID, big+1).Scan(&name, &price, &data))
	check("nulls "+when, []interface{}{name, price, data}, []interface{}{nil, nil, nil})
	check("count "+when, one(db, "SELECT count(*) FROM log"), 901)
}

func main() {
	sql.Register("sqlite3_lsm", &sqlite3.SQLiteDriver{Extensions: []string{os.Args[1]}})
	open()
	check("version", one(db, "SELECT lsm_version() <> ''"), 1)
	run(db, "CREATE VIRTUAL TABLE log USING lsm(host TEXT, ts INTEGER, msg, PRIMARY KEY (host, ts))")
	run(db, "CREATE VIRTUAL TABLE item USING lsm(id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)")
	run(db, "CREATE TABLE ordinary(n INTEGER)")

	tx, err := db.Begin()
	must(err)
	insert, err := tx.Prepare("INSERT INTO log VALUES(?, ?, ?)")
	must(err)
	for i := 0; i < 1000; i++ {
		_, err = insert.Exec(fmt.Sprint("h", i%10), i, fmt.Sprint("message ", i))
		must(err)
	}
	must(insert.Close())
	must(tx.Commit())
	check("count", one(db, "SELECT count(*) FROM log"), 1000)
	check("by key", one(db, "SELECT msg FROM log WHERE host = ? AND ts = ?", "h7", 507), "message 507")

	check("rows updated", affected(run(db, "UPDATE log SET msg = msg || '!' WHERE host = ? AND ts < ?", "h3", 100)), 10)
	check("updated", one(db, "SELECT msg FROM log WHERE host = 'h3' AND ts = 93"), "message 93!")
	check("rows deleted", affected(run(db, "DELETE FROM log WHERE host = ?", "h9")), 100)

	run(db, "INSERT INTO item VALUES(?, ?, ?, ?)", big, text, real, blob)
	id, err := run(db, "INSERT INTO item VALUES(?, ?, ?, ?)", nil, nil, nil, nil).LastInsertId()
	must(err)
	check("rowid", id, big+1)

	tx, err = db.Begin()
	must(err)
	run(tx, "INSERT INTO log VALUES('new', 1, 'x')")
	run(tx, "DELETE FROM log WHERE host = 'h3'")
	run(tx, "INSERT INTO ordinary VALUES(1)")
	check("read in the transaction", one(tx, "SELECT count(*) FROM log"), 801)
	// Another connection of the pool.
	check("read beside the transaction", one(db, "SELECT count(*) FROM log"), 900)
	must(tx.Rollback())
	check("rolled back", one(db, "SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM ordinary)"), 900)
	tx, err = db.Begin()
	must(err)
	run(tx, "INSERT INTO log VALUES('new', 1, 'x')")
	run(tx, "INSERT INTO ordinary VALUES(1)")
	must(tx.Commit())

	_, err = db.Exec("INSERT INTO log VALUES('new', 1, 'y')")
	failure, ok := err.(sqlite3.Error)
	check("duplicate key", ok && failure.Code == sqlite3.ErrConstraint, true)
	check("its message", strings.Contains(fmt.Sprint(err), "UNIQUE constraint failed: log.host, log.ts"), true)

	stored("from memory")
	one(db, "SELECT lsm_flush('log')")
	stored("from a file")
	must(db.Close())
	open()
	stored("after reopening")
	check("verify", one(db, "SELECT lsm_verify('log')"), "ok")
	must(db.Close())
	if failed > 0 {
		fmt.Printf("%d checks, %d failed\n", checks, failed)
	} else {
		fmt.Printf("%d checks\n", checks)
	}
}
