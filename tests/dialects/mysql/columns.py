"""A table with a column of every type."""

from __future__ import annotations

from tests.support.servers.mariadb import ON_MYSQL

_OWN = "u CHAR(36), i4 VARCHAR(15), i6 VARCHAR(43)" if ON_MYSQL else "u UUID, i4 INET4, i6 INET6"
TYPES = f"""
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    yes TINYINT(1), tiny TINYINT, small SMALLINT UNSIGNED, medium MEDIUMINT, big BIGINT, huge BIGINT UNSIGNED,
    zeros INT(8) UNSIGNED ZEROFILL, bits BIT(64), made YEAR,
    price DECIMAL(12,2), exact DECIMAL(65,30), whole DECIMAL(20,0), padded DECIMAL(9,3) UNSIGNED ZEROFILL,
    one FLOAT, two DOUBLE, cut FLOAT(7,2), fixed DOUBLE(15,3),
    c CHAR(5), v VARCHAR(300), t LONGTEXT, latin VARCHAR(20) CHARACTER SET latin1,
    old VARCHAR(20) CHARACTER SET utf8mb3,
    e ENUM('a','b''c','x,y','back\\\\slash','','Ä') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, s SET('x','y','z'),
    b BINARY(4), vb VARBINARY(300), lb LONGBLOB,
    d DATE, t0 TIME, t6 TIME(6), dt0 DATETIME, dt6 DATETIME(6), ts TIMESTAMP(3) NULL, j JSON,
    {_OWN}, g POINT,
    sum_ INT AS (tiny + 1) STORED, virtual_ INT AS (tiny + 2) VIRTUAL
"""
