package main

import (
	"context"
	"errors"
	"fmt"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/sqlite"
	"chatkit-session/db"
)

type migrateCommand struct{}

// Run applies missing migrations. It needs only the settings of the database.
func (migrateCommand) Run(p *process) error {
	c, err := p.databaseSettings()
	if err != nil {
		return err
	}
	kind, path, err := databaseKind(c.DatabaseURL)
	if err != nil {
		return err
	}
	if kind == sqliteDatabase {
		s, err := sqlite.Open(p.ctx, sqlite.Config{Path: path})
		if err != nil {
			return err
		}
		err = s.Close()
		p.upToDate(path, err)
		return err
	}
	err = migratePostgres(p.ctx, c)
	p.upToDate("the database", err)
	return err
}

// databaseSettings reads the environment and prints its warnings.
func (p *process) databaseSettings() (config, error) {
	c, warnings, err := databaseSettings(p.environ)
	for _, warning := range warnings {
		_, _ = fmt.Fprintln(p.stderr, "warning: "+warning)
	}
	return c, err
}

func (p *process) upToDate(what string, err error) {
	if err == nil {
		_, _ = fmt.Fprintf(p.stdout, "the schema of %s is up to date\n", what)
	}
}

// migratePostgres applies missing migrations. Replicas that do so at the same
// time wait for each other.
func migratePostgres(ctx context.Context, c config) (err error) {
	url := c.DatabaseDirectURL
	if url == "" {
		url = c.DatabaseURL
	}
	conn, err := postgres.Connect(ctx, postgres.Config{URL: string(url)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	migrator, err := db.Postgres(conn)
	if err != nil {
		return err
	}
	if _, err := migrator.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database (this needs the owner of the schema: set DATABASE_DIRECT_URL, or run chatkit-session migrate as the owner): %w", err)
	}
	return nil
}
